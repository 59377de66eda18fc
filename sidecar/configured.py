"""The ``user_config`` of the user's object, which its ``reconfigure`` takes: before the replica is ready, and later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mesh.loops import going_on
from mesh.user_config import decode_user_config
from sidecar.hooks import Hooks
from sidecar.user_code import ConstructionFailed, UserCode, users_traceback

_log = logging.getLogger(__name__)


class Configured:
    """Brings the user's object to the user_config that was wished for last; those between may be left out.

    All user configs here are JSON, "" = none.
    """

    def __init__(self, user_code: UserCode, hooks: Hooks, wished: str) -> None:
        self.taken = ""
        """What ``reconfigure`` has taken last."""
        self.refused = ""
        """What it raised on, when that came after; the object then works on with what it had."""
        self.refusal = ""
        self._user_code = user_code
        self._hooks = hooks
        self._wished = wished
        self._is_due = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    async def begin(self) -> None:
        """Configure the new object. Raises :class:`ConstructionFailed` with the user's traceback."""
        while self._wished != self.taken:
            wished = self._wished
            try:
                await self._reconfigure(wished)
            except Exception as error:
                raise ConstructionFailed(error) from error
            self.taken = wished
        self._is_due.clear()

    def wish(self, user_config: str) -> None:
        """What the object is to have from now on. One that it refused is tried again."""
        self._wished = user_config
        if user_config and (user_config != self.taken or self.refused):
            self._is_due.set()
            self._is_settled.clear()

    async def wait_settled(self) -> None:
        """Until what was wished for last is taken, or refused."""
        await self._is_settled.wait()

    @asynccontextmanager
    async def followed(self, tell: Callable[[], object]) -> AsyncIterator[None]:
        """While inside, wishes are followed; ``tell`` is called after each."""
        async with going_on(self._follow(tell), "reconfigure"):
            yield

    async def _follow(self, tell: Callable[[], object]) -> None:
        while True:
            await self._is_due.wait()
            self._is_due.clear()
            wished = self._wished
            try:
                await self._reconfigure(wished)
            except Exception as error:
                self.refused, self.refusal = wished, users_traceback(error)
                _log.error("reconfigure raised, the user_config before it stays\n%s", self.refusal.rstrip())
            else:
                self.taken, self.refused, self.refusal = wished, "", ""
            if not self._is_due.is_set():
                self._is_settled.set()
            tell()

    async def _reconfigure(self, user_config: str) -> None:
        method = self._user_code.method("reconfigure")
        if method is None:
            raise TypeError("there is a user_config and no method reconfigure(user_config) that takes it")
        await self._hooks.call(method, decode_user_config(user_config))
