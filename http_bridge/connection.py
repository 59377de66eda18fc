"""HTTP connections that end without losing a request: uvicorn's, with another idea of their end.

HTTP has one way to end a connection that both sides keep open: the server says ``Connection: close`` in an answer, and
the client sends nothing more. A connection that is simply closed while it is idle loses the request that is just on its
way. So an ending bridge says it in its next answer, and closes what is silent only after :data:`IDLE_S`.
"""

from __future__ import annotations

from typing import Final

from http_bridge.client import IS_GONE
from http_bridge.joined_writes import HttpProtocol

IDLE_S: Final = 1.0
"""How long an ending bridge waits for one more request on a connection that is open and idle."""


class HttpConnection(HttpProtocol):
    """One HTTP connection of a client."""

    _is_ending = False

    def shutdown(self) -> None:
        """End with the next answer that has not begun, or when nothing has come for :data:`IDLE_S`."""
        self._is_ending = True
        self.timeout_keep_alive = IDLE_S  # type: ignore[assignment] # for an answer whose head is on its way already
        if self.cycle is None or self.cycle.response_complete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(IDLE_S, self.timeout_keep_alive_handler)
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # ASGI has a dict for each extension, and nobody else reads this one.
        self.scope["extensions"] = {IS_GONE: self.transport.is_closing}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._is_ending and self.cycle is not None:
            self.cycle.keep_alive = False
