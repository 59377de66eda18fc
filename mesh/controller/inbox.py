"""The one way into the controller: what happens is put here, and taken out by one task."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from math import inf
from typing import Generic, TypeVar

from mesh.clock import Clock

T = TypeVar("T")


class Inbox(Generic[T]):
    """Posted on the loop, taken on the loop, in order.

    Not bounded: who posts is a process, an open RPC or a line, of which there are few, and whoever takes takes all. A
    line on which a replica only repeats itself posts nothing.
    """

    def __init__(self) -> None:
        self._entries: deque[T] = deque()
        self._posted = asyncio.Event()

    def post(self, entry: T) -> None:
        """Puts one in."""
        self._entries.append(entry)
        self._posted.set()

    async def next(self, clock: Clock, until_s: float) -> list[T]:
        """All that is there, as soon as there is something; nothing when the clock reaches ``until_s`` before."""
        timeout_s = None if until_s == inf else until_s - clock.now_s()
        # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with an entry.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._posted.wait()
        self._posted.clear()
        entries = list(self._entries)
        self._entries.clear()
        return entries
