"""The HTTP server in front of a bridge: uvicorn's, but for how it takes connections and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator
from time import monotonic
from typing import Any, Final

import uvicorn

from http_bridge.accepting import Acceptor
from http_bridge.app import Bridge
from http_bridge.connection import HttpConnection
from http_bridge.counts import Counts
from http_bridge.slow_clients import SlowClients

DRAIN_S: Final = 20.0
"""Seconds that requests which have begun may take after :meth:`Server.stop`."""

CUT_S: Final = 1.0
"""Seconds in which those that are cut off are told so."""

KEEP_ALIVE_S: Final = 65
"""Longer than the usual 60 s of clients and proxies, so that they close idle connections and never race with us."""

_LOOK_AGAIN_S: Final = 0.02

_log = logging.getLogger(__name__)


def make_server(bridge: Bridge, counts: Counts | None = None) -> Server:
    """The HTTP server for ``bridge``, with what an open port needs and nothing that logs each request.

    ``counts`` is for a bridge that is one of several on the same sockets.
    """
    config = uvicorn.Config(
        bridge,
        http=HttpConnection,
        ws="http_bridge.websocket_connection:WebSocketConnection",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.ERROR)
    log.addFilter(_is_an_error)
    return Server(config, counts)


class Server(uvicorn.Server):
    """uvicorn, told by :meth:`stop` to end: its own signal handlers would end the process by the signal."""

    def __init__(self, config: uvicorn.Config, counts: Counts | None = None) -> None:
        super().__init__(config)
        self.slow_clients = SlowClients()
        self._counts = counts

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the process's signals alone."""
        yield

    def stop(self) -> None:
        """Take nothing new, end what was begun, and let ``serve`` return."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections from sockets that listen."""
        self._acceptor = Acceptor(sockets or (), self._connection, self.server_state.connections, self._counts)
        self._acceptor.start()
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self._acceptor.tell_count()
        if counter % 10 == 0:
            self.slow_clients.look(self.server_state.connections, monotonic())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all who have connected, and end; after :data:`DRAIN_S` what is left is cut off."""
        if self._counts is not None:
            self._counts.close()
        await self._acceptor.close()
        for listener in sockets or ():
            listener.close()
        state, told = self.server_state, set[Any]()
        try:
            async with asyncio.timeout(DRAIN_S):
                while state.connections or state.tasks:
                    for connection in state.connections - told:  # one that became a WebSocket is another
                        connection.shutdown()
                        told.add(connection)
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            cut = state.connections | state.tasks
            _log.error("%d requests and connections were cut off: they had not ended after %g s", len(cut), DRAIN_S)
            for task in (left := set(state.tasks)):
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=CUT_S)

    def _connection(self) -> asyncio.Protocol:
        return HttpConnection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def _is_an_error(record: logging.LogRecord) -> bool:
    """uvicorn takes a handshake that was answered with an HTTP response for one that was forgotten, and a request that
    we have cut off for one that has failed.
    """
    was_cut = record.exc_info is not None and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not was_cut and "without completing handshake" not in record.getMessage()
