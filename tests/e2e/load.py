"""Load on a deployment: a steady number of calls at a time, and all that came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from time import monotonic
from types import TracebackType
from typing import Any, Self

from tests.e2e.commands import LIMIT_S

Send = Callable[[str], Awaitable[Any]]


class Load:
    """Sends calls with keys "0", "1", ... from this loop while it is open; leaving it waits for those under way::

    async with Load(handle.work, at_a_time=32) as load:
        await load.wait(lambda: len(load.answers) > 100)
    assert not load.errors
    """

    def __init__(self, send: Send, at_a_time: int) -> None:
        self.answers: dict[str, Any] = {}
        self.answered_s: dict[str, float] = {}
        """When each answer came, in seconds of the monotonic clock."""
        self.errors: dict[str, BaseException] = {}
        self._send = send
        self._at_a_time = at_a_time
        self._keys = count()
        self._is_open = True
        self._changed = asyncio.Event()
        self._callers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._callers = [asyncio.create_task(self._call_again_and_again()) for _ in range(self._at_a_time)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_open = False
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*self._callers)

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Return when ``condition``, asked again after every end of a call, holds."""
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_more(self, number: int = 100) -> None:
        """Return when ``number`` more calls have been answered."""
        enough = len(self.answers) + number
        await self.wait(lambda: len(self.answers) >= enough)

    async def _call_again_and_again(self) -> None:
        while self._is_open:
            key = str(next(self._keys))
            try:
                self.answers[key] = await self._send(key)
                self.answered_s[key] = monotonic()
            except Exception as error:
                self.errors[key] = error
                await asyncio.sleep(0)  # a call that fails at once must not keep the loop from everything else
            self._changed.set()
