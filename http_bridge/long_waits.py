"""Clients that wait longer than usual: they are listened to, so that a call ends when its client leaves."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

LISTEN_AFTER_S: Final = 0.02
"""A client is listened to when its call takes longer than this, or than twice this."""


class Waiting(Protocol):
    """A client whose call has not ended."""

    def listen(self) -> None:
        """It has waited long. Comes at most once for each time that it was added."""
        ...


class LongWaits:
    """One clock for all clients of a process: listening costs a task, and a timer for each of them nearly as much."""

    __slots__ = ("_earlier", "_is_ticking", "_now")

    def __init__(self) -> None:
        self._now: set[Waiting] = set()  # since the last tick
        self._earlier: set[Waiting] = set()  # since the one before
        self._is_ticking = False

    def add(self, client: Waiting) -> None:
        """It begins to wait."""
        self._now.add(client)
        if not self._is_ticking:
            self._is_ticking = True
            asyncio.get_running_loop().call_later(LISTEN_AFTER_S, self._tick)

    def discard(self, client: Waiting) -> None:
        """It waits no more."""
        self._now.discard(client)
        self._earlier.discard(client)

    def _tick(self) -> None:
        late, self._earlier, self._now = self._earlier, self._now, set()
        for client in late:
            client.listen()
        self._is_ticking = bool(self._earlier)
        if self._is_ticking:
            asyncio.get_running_loop().call_later(LISTEN_AFTER_S, self._tick)
