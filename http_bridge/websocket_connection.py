"""WebSockets as the server has them: uvicorn's, with a word at the end of the bridge and the limit of the deployment.

Imported when a bridge starts, by its name: the other processes of a mesh need no library for WebSockets.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from http_bridge.websocket import MESSAGE_LIMIT, RESTARTS


class WebSocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket of a client."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_ending = False
        self._is_cut = False
        self._farewell: asyncio.Task[None] | None = None

    def shutdown(self) -> None:
        """Say 1012, after the handshake if that is still on; the client's answer to it ends the connection."""
        self._is_ending = True
        self.stop_keepalive()
        self._say_farewell()

    async def run_asgi(self) -> None:
        self.scope["extensions"][MESSAGE_LIMIT] = {}
        await super().run_asgi()

    async def send(self, message: Any) -> None:
        if message["type"] == MESSAGE_LIMIT:
            self.conn.max_message_size = message["max_bytes"]
            return
        if self._is_cut or (self._farewell is not None and self.close_sent):
            raise ClientDisconnected  # by us; the application will hear of it
        await super().send(message)
        if self._is_ending:
            self._say_farewell()

    def handle_parser_exception(self) -> None:
        """The client has sent what it must not, such as a message that is too large.

        It may be sending still. A connection that is closed while something has not been read is reset, and the close
        frame lost; so all is read and thrown away until the client has seen the end.
        """
        if self._is_cut:
            return
        self._is_cut = self.close_sent = True
        close = self.conn.close_sent
        if close is not None:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": close.code, "reason": close.reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)

    def _say_farewell(self) -> None:
        if self._farewell is None and self.handshake_complete and not self.close_sent:
            farewell = {"type": "websocket.close", "code": RESTARTS, "reason": "the bridge is being stopped"}
            self._farewell = self.loop.create_task(super().send(farewell))  # type: ignore[arg-type]
