"""uvicorn's protocol with one write for what a response says in one go: its head and the first of its body.

uvicorn writes them apart, and uvloop makes a system call, and the kernel a segment, of each.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoinedWrites:
    """A transport that holds writes back to the end of the tick, or to :meth:`flush`, and makes one of them."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._call_soon = loop.call_soon
        self._held: list[bytes] = []
        # What is asked for once a request or more.
        self.is_closing = transport.is_closing
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        """Write, soon."""
        self._held.append(data)
        if len(self._held) == 1:
            self._call_soon(self.flush)

    def flush(self) -> None:
        """Write now what is held back."""
        if self._held:
            held, self._held = self._held, []
            if not self.is_closing():  # the client may have gone since
                self.transport.write(b"".join(held))

    def close(self) -> None:
        """Close the connection after all that was written."""
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class HttpProtocol(HttpToolsProtocol):
    """One connection of a client."""

    transport: JoinedWrites  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, JoinedWrites(transport, self.loop)))

    def on_response_complete(self) -> None:
        self.transport.flush()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self.transport = self.transport.transport  # type: ignore[assignment] # a WebSocket writes whole frames
        super().handle_websocket_upgrade()
