"""A deployment to put under load: says who answered, and keeps a journal of what was begun and ended."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from starlette.requests import Request

import mesh
from tests.services.journal import Journal, wait_for_file


@mesh.deployment(max_ongoing_requests=8)
class Worker:
    """Every method takes the request's key and gives (version, pid). It is made when there is a file at ``gate``."""

    def __init__(self, journal: Path, version: int = 1, gate: Path | None = None) -> None:
        if gate is not None:
            wait_for_file(gate)
        self._journal = Journal(journal)
        self._version = version

    async def work(self, key: object, seconds: float = 0.02) -> tuple[int, int]:
        """Works on the loop."""
        self._journal.write("begun", key)
        await asyncio.sleep(seconds)
        self._journal.write("ended", key)
        return self._version, os.getpid()

    def work_on_turn(self, key: object, seconds: float = 0.001) -> tuple[int, int]:
        """Works on the turn."""
        self._journal.write("begun", key)
        time.sleep(seconds)
        self._journal.write("ended", key)
        return self._version, os.getpid()

    async def __call__(self, request: Request) -> list[int]:
        """Works by HTTP."""
        return list(await self.work(request.query_params["key"]))
