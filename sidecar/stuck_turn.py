"""Plain methods that nobody waits for any more and that do not end: they hold the turn, and nothing else can run.

A method that somebody waits for may take as long as it likes: that is being busy. So is everything that queues behind
it, the end of a generator that was cancelled included. One that has the turn and whose caller has given up,
because its deadline has passed or it was cancelled, has ``health_check_timeout_s`` to end; after that it counts as a
failed health check, and again for every such time that passes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic

from mesh.config import DeploymentConfig
from mesh.loops import going_on
from sidecar.work import Work

_log = logging.getLogger(__name__)


class StuckTurn:
    """Looks at the work of a replica every period, whether or not its object has a ``check_health``."""

    def __init__(self, work: Callable[[], Iterable[Work]], config: DeploymentConfig) -> None:
        self.config = config
        """Of which ``threads`` and the settings of health checks count; it may change."""
        self.failed_in_a_row = 0
        self.failure = ""
        self._work = work
        self._held: list[Work] = []
        self._held_since_s = 0.0

    @asynccontextmanager
    async def watched(self, tell: Callable[[], object]) -> AsyncIterator[None]:
        """While inside, ``tell`` is called after each failure, and when they are over."""
        async with going_on(self._repeat(tell), "stuck turn"):
            yield

    async def _repeat(self, tell: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(self.config.health_check_period_s)
            self.look(monotonic(), tell)

    def look(self, now_s: float, tell: Callable[[], object]) -> None:
        """Count what has been stuck until now."""
        held = [work for work in self._work() if work.is_in_vain]
        if held != self._held or len(held) < self.config.threads:
            self._held, self._held_since_s = held, now_s
            if self.failed_in_a_row:
                self.failed_in_a_row, self.failure = 0, ""
                tell()
            return
        stuck_s = now_s - self._held_since_s
        if stuck_s >= self.config.health_check_timeout_s * (self.failed_in_a_row + 1):
            self.failed_in_a_row += 1
            names = ", ".join(sorted({work.method_name for work in held}))
            self.failure = f"{names}: still running {stuck_s:.1f} s after the caller has given up, and nothing else can"
            _log.warning("the turn is stuck in_a_row=%d %s", self.failed_in_a_row, self.failure)
            tell()
