"""Clients that hold a connection and do nothing with it: a head that does not end, an answer that nobody reads.

Each of them costs a descriptor and what is buffered for it, for as long as it likes. Looked at now and then from
outside, so a request costs nothing: a connection is where it is at every look, or it has moved.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Any, Final

HEAD_S: Final = 30.0
"""How long the head of a request may take, from its first byte; for the first one, from the connection."""
UNREAD_S: Final = 60.0
"""How long a client may leave an answer lying without taking one byte of it."""

_ACKNOWLEDGED_OFFSET: Final = 120
"""Of tcpi_bytes_acked in the struct tcp_info of Linux: linux/tcp.h."""


class SlowClients:
    """Ends connections of uvicorn on which nothing has moved for too long."""

    def __init__(self, head_s: float = HEAD_S, unread_s: float = UNREAD_S) -> None:
        self._limits_s = {"head": head_s, "unread": unread_s}
        self._since: dict[Any, tuple[object, float]] = {}  # where a connection was found, and when first

    def look(self, connections: Iterable[Any], now_s: float) -> None:
        """To be called about once a second; connections that have ended are forgotten by the way."""
        before, self._since = self._since, {}
        for connection in list(connections):
            place = _place(connection)
            if place is None:
                continue
            found, since_s = before.get(connection, (None, now_s))
            if found != place:
                since_s = now_s
            if now_s - since_s > self._limits_s[place[0]]:
                connection.transport.abort()
            else:
                self._since[connection] = (place, since_s)


def _place(connection: Any) -> tuple[str, int] | None:
    """Where it waits for its client: in the middle of a head, or with so many bytes of an answer taken."""
    transport = connection.transport
    if transport is None or (transport.is_closing() and not transport.get_write_buffer_size()):
        return None
    if transport.get_write_buffer_size():
        return "unread", _taken(transport)
    # Between requests a timer of uvicorn's runs, while one is answered there is its cycle; a WebSocket has pings.
    is_idle = not hasattr(connection, "cycle") or connection.timeout_keep_alive_task is not None
    if is_idle or (connection.cycle is not None and not connection.cycle.response_complete):
        return None
    return "head", 0


def _taken(transport: Any) -> int:
    """A number that changes whenever the client takes something: what it has acknowledged, where the system tells."""
    connection = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_INFO") and connection is not None:
        try:
            told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED_OFFSET + 8)
        except OSError:  # it has ended meanwhile, or is no TCP
            told = b""
        if len(told) == _ACKNOWLEDGED_OFFSET + 8:
            return int(struct.unpack_from("=Q", told, _ACKNOWLEDGED_OFFSET)[0])
    return -int(transport.get_write_buffer_size())
