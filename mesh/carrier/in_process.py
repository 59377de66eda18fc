"""A session between two ends in one process, on one loop: the batches are the same, only nothing crosses a wire."""

from __future__ import annotations

import asyncio

from mesh.carrier.carrier import Passenger


class InProcess:
    """One end; :func:`joined` makes two. What is given in one tick arrives in the next."""

    is_local = False  # to share memory with oneself would only hide what a wire does

    def __init__(self) -> None:
        self.passenger: Passenger | None = None
        """Who speaks and listens here; set before anything else happens."""
        self._loop = asyncio.get_running_loop()
        self._other: InProcess | None = None
        self._is_scheduled = False
        self._is_lost = False

    def join(self, other: InProcess) -> None:
        """From now on the two carry for each other."""
        self._other, other._other = other, self

    def wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._send)

    def close(self) -> None:
        for end in (self, self._other):
            if end is not None:
                end._lose()

    def _send(self) -> None:
        self._is_scheduled = False
        assert self.passenger is not None
        other = self._other
        while not self._is_lost and other is not None and (batch := self.passenger.take()) is not None:
            assert other.passenger is not None
            other.passenger.arrived(batch)

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            if self.passenger is not None:
                self.passenger.lost(None)
