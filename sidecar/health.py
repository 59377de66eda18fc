"""``check_health`` of the user's object, called again and again. That the process lives is seen by its connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mesh.config import DeploymentConfig
from mesh.loops import going_on
from sidecar.hooks import Hooks
from sidecar.user_code import BoundMethod, ConstructionFailed, UserCode, users_traceback

_log = logging.getLogger(__name__)


class HealthChecks:
    """Counts how many checks have failed in a row; what follows from that is the controller's to decide.

    A check that waits for the turn is late because the object is busy, which is no failure. Its timeout runs from
    when it starts: what has started and does not end is hung, and fails once for every timeout that passes.
    """

    def __init__(self, user_code: UserCode, hooks: Hooks, config: DeploymentConfig) -> None:
        self.config = config
        """Of which ``health_check_period_s`` and ``health_check_timeout_s`` count; it may change."""
        self.failed_in_a_row = 0
        self.failure = ""
        """Why the last one failed; "" when it did not."""
        self._user_code = user_code
        self._hooks = hooks

    async def begin(self) -> None:
        """The first check. Raises :class:`ConstructionFailed` when it fails: the replica does not begin to serve."""
        method = self._user_code.method("check_health")
        if method is None:
            return
        try:
            await self._checked(method, _nobody)
        except Exception as error:
            raise ConstructionFailed(error) from error

    @asynccontextmanager
    async def repeated(self, tell: Callable[[], object]) -> AsyncIterator[None]:
        """While inside, there is a check every period; ``tell`` is called when the outcome is another than before."""
        method = self._user_code.method("check_health")
        if method is None:
            yield
            return
        async with going_on(self._repeat(method, tell), "check_health"):
            yield

    async def _repeat(self, method: BoundMethod, tell: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(self.config.health_check_period_s)
            try:
                await self._checked(method, tell)
            except Exception as error:
                self._failed(users_traceback(error), tell)
            else:
                if self.failed_in_a_row:
                    self.failed_in_a_row, self.failure = 0, ""
                    tell()

    async def _checked(self, method: BoundMethod, tell: Callable[[], object]) -> None:
        """One check to its end. Raises what it raised, or TimeoutError for one that took too long."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        check = asyncio.ensure_future(self._hooks.call(method, on_start=lambda: started.set_result(None)))
        try:
            await asyncio.wait((check, started), return_when=asyncio.FIRST_COMPLETED)
            hung_s = 0.0
            while not (await asyncio.wait((check,), timeout=self.config.health_check_timeout_s))[0]:
                hung_s += self.config.health_check_timeout_s
                message = f"check_health has not ended {hung_s:g} s after it started"
                if method.runs_on_loop or tell is _nobody:
                    raise TimeoutError(message)
                self._failed(message, tell)
            check.result()
            if hung_s:
                raise TimeoutError(f"check_health took more than {hung_s:g} s")
        finally:
            check.cancel()

    def _failed(self, message: str, tell: Callable[[], object]) -> None:
        self.failed_in_a_row += 1
        self.failure = message
        _log.warning("check_health failed in_a_row=%d\n%s", self.failed_in_a_row, message.rstrip())
        tell()


def _nobody() -> None:
    """Nobody is told of the first check: its failure ends the replica."""
