"""The deployment that is put under load: says who answered it."""

from __future__ import annotations

import asyncio
import os

from starlette.requests import Request

import mesh


@mesh.deployment(max_ongoing_requests=8, max_queued_requests=1000)
class Worker:
    """Works for a moment, on the loop, called by handle and by HTTP."""

    def __init__(self, version: int = 1) -> None:
        self._version = version

    async def work(self, key: object, seconds: float = 0.01) -> tuple[int, int]:
        """The version and the pid of who worked."""
        await asyncio.sleep(seconds)
        return self._version, os.getpid()

    async def __call__(self, request: Request) -> list[int]:
        """The same by HTTP."""
        return list(await self.work(request.query_params["key"]))
