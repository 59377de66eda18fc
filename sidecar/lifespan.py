"""The lifespan of a replica's ASGI application: begun once before the first request, ended after the last."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.types import ASGIApp, Message

from mesh.http import ASGI_VERSION

SHUTDOWN_S = 10.0
"""How long the end of a lifespan may take."""

_log = logging.getLogger(__name__)


class Lifespan:
    """``state`` is filled by the application when it starts. One that knows no lifespan is left alone."""

    def __init__(self, application: ASGIApp, state: dict[str, Any]) -> None:
        self._application = application
        self._state = state
        self._to_application: asyncio.Queue[Message] = asyncio.Queue()
        self._started = asyncio.Event()
        self._failure: str | None = None
        self._has_started = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Wait until the application has started. Raises RuntimeError with its traceback when it failed to."""
        self._to_application.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._started.wait()
        if self._failure is not None:
            raise RuntimeError(f"the lifespan of the application failed to start\n{self._failure}")

    async def stop(self) -> None:
        """Let the application end what it has started."""
        if self._task is None or not self._has_started:
            return
        self._to_application.put_nowait({"type": "lifespan.shutdown"})
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await self._task
        except TimeoutError:
            _log.error("the lifespan of the application did not end within %s s", SHUTDOWN_S)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": ASGI_VERSION, "state": self._state}
        try:
            await self._application(scope, self._to_application.get, self._told)
        except Exception:
            if self._has_started:
                _log.exception("the lifespan of the application failed")
            # otherwise it knows no lifespan, which ASGI has it say by raising
        finally:
            self._started.set()

    async def _told(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self._has_started = True
            self._started.set()
        elif message["type"] == "lifespan.startup.failed":
            self._failure = message.get("message", "")
            self._started.set()
        elif message["type"] == "lifespan.shutdown.failed":
            _log.error("the lifespan of the application failed to end: %s", message.get("message", ""))
