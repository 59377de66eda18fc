"""Taking new connections from the sockets that all bridges of a mesh share."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence, Sized
from typing import Final

from http_bridge.counts import Counts

AT_ONCE: Final = 16
"""Connections taken in one tick; then those that are open have their turn."""

YIELD_S: Final = 0.005
"""How long a connection is left to the bridges that have fewer. When none of them takes any meanwhile, being busy, or
dead, it is taken anyway."""

AT_ONCE_FOR_OTHERS: Final = 4
"""Connections taken then, in one go."""

NO_DESCRIPTORS_S: Final = 1.0
"""How long nothing is taken after the system has refused another descriptor."""

_log = logging.getLogger(__name__)


class Acceptor:
    """Makes a connection of ``make_protocol`` of each client that comes to one of ``listeners``.

    Between :meth:`start` and :meth:`close`; it does not own the sockets, and only counts ``open_connections``. The way
    of libuv would be to take all that wait in one go, so that of two idle bridges the first one awake has everything.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.Protocol],
        open_connections: Sized,
        counts: Counts | None = None,
    ) -> None:
        self._listeners = listeners
        self._make_protocol = make_protocol
        self._open = open_connections
        self._counts = counts
        self._loop = asyncio.get_running_loop()
        self._adopting: set[asyncio.Task[object]] = set()
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        self._yielded_to: tuple[int, ...] = ()
        self._is_closing = False

    def start(self) -> None:
        """Take who comes."""
        for listener in self._listeners:
            listener.setblocking(False)
            self._loop.add_reader(listener, self._on_waiting, listener)

    def tell_count(self) -> None:
        """Tell the other bridges how many connections this one has."""
        if self._counts is not None:
            self._counts.tell(len(self._open) + len(self._adopting))

    async def close(self) -> None:
        """Take those who wait at this moment, and nobody after that; returns when all of them are connections."""
        self._is_closing, self._counts = True, None
        for timer in self._timers.values():
            timer.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            while self._take(listener):
                pass
        if self._adopting:
            await asyncio.wait(self._adopting)

    def _on_waiting(self, listener: socket.socket) -> None:
        self.tell_count()
        if self._counts is None:
            self._take_some(listener, AT_ONCE)
        elif self._counts.has_least():
            self._take(listener)  # one, so that the next one goes to whoever has least then
        elif self._counts.others() != self._yielded_to:
            self._yielded_to = self._counts.others()
            self._pause(listener, YIELD_S)
        else:
            self._yielded_to = ()
            self._take_some(listener, AT_ONCE_FOR_OTHERS)

    def _take_some(self, listener: socket.socket, most: int) -> None:
        for _ in range(most):
            if not self._take(listener):
                return

    def _pause(self, listener: socket.socket, wait_s: float) -> None:
        self._loop.remove_reader(listener)
        self._timers[listener] = self._loop.call_later(wait_s, self._go_on, listener)

    def _go_on(self, listener: socket.socket) -> None:
        del self._timers[listener]
        self._loop.add_reader(listener, self._on_waiting, listener)  # at once, if somebody still waits

    def _take(self, listener: socket.socket) -> bool:
        """Take one connection; whether there was one."""
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False  # another bridge was quicker
        except ConnectionAbortedError:
            return True
        except OSError as error:
            _log.error("no connection could be taken: %s", error)
            if not self._is_closing:
                self._pause(listener, NO_DESCRIPTORS_S)
            return False
        accepted.setblocking(False)
        adopting: asyncio.Task[object] = self._loop.create_task(self._adopt(accepted))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)
        self.tell_count()
        return True

    async def _adopt(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, accepted)
        except OSError:
            accepted.close()  # its client has left already
