"""Load that lasts: a steady number of callers, and counts of what came of their calls, never the calls themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from types import TracebackType
from typing import Any, Self

LAST_CALLS_S = 60
"""Seconds for the calls that are under way when the load ends."""

Send = Callable[[str], Awaitable[Any]]


class SteadyLoad:
    """Calls ``send`` with keys "0", "1", ... from this loop while it is open, as often as it is opened.

    Leaving it waits for those under way."""

    def __init__(self, send: Send, at_a_time: int) -> None:
        self.answered = 0
        self.errors: Counter[str] = Counter()
        """How many calls failed, by what the error said."""
        self._send = send
        self._at_a_time = at_a_time
        self._keys = count()
        self._is_open = False
        self._callers: list[asyncio.Task[None]] = []

    @property
    def failed(self) -> int:
        """Calls that ended with an error."""
        return self.errors.total()

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._callers = [asyncio.create_task(self._call_again_and_again()) for _ in range(self._at_a_time)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        async with asyncio.timeout(LAST_CALLS_S):
            await asyncio.gather(*self._callers)

    async def _call_again_and_again(self) -> None:
        while self._is_open:
            try:
                await self._send(str(next(self._keys)))
                self.answered += 1
            except Exception as error:
                self.errors[f"{type(error).__name__}: {error}"] += 1
                await asyncio.sleep(0)  # a call that fails at once must not keep the loop from everything else


class HttpFailed(Exception):
    """An answer that is not 200; the message has the status and the beginning of the body."""
