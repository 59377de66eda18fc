"""Deployments that tell a journal when a call begins, ends, and is cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request

import mesh
from mesh.errors import RequestCancelled
from tests.services.journal import Journal, wait_for_file


@mesh.deployment(max_ongoing_requests=1)
class Sleeper:
    """Works for long."""

    def __init__(self, journal: Path) -> None:
        self._journal = Journal(journal)

    async def sleep(self, key: str, seconds: float = 60) -> str:
        """Sleeps on the loop, where it can be cancelled."""
        self._journal.write("begun", key)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self._journal.write("cancelled", key)
            raise
        self._journal.write("ended", key)
        return key

    def wait_for(self, key: str, path: Path) -> str:
        """Waits for a file on the turn, where nothing can interrupt it."""
        self._journal.write("begun", key)
        wait_for_file(path)
        self._journal.write("ended", key)
        return key

    async def __call__(self, request: Request) -> str:
        """Sleeps for an HTTP request."""
        return await self.sleep(request.query_params["key"])


@mesh.deployment
class Caller:
    """Waits for a sleeper."""

    def __init__(self, journal: Path, sleeper: mesh.DeploymentHandle) -> None:
        self._journal = Journal(journal)
        self._sleeper = sleeper

    async def on_loop(self, key: str) -> str:
        """In an ``async def``."""
        return str(await self._sleeper.sleep(key))

    async def not_waiting(self, key: str) -> None:
        """Starts a call, does not wait for it, and works on."""
        self._sleeper.sleep.remote(key)
        await asyncio.sleep(60)

    def short(self) -> str:
        """Needs the turn for a moment."""
        return "done"

    def on_turn(self, key: str, gate: Path | None = None) -> str:
        """In a ``def``, which hears of the cancellation by the call that it waits for."""
        self._journal.write("on-turn", key)
        if gate is not None:
            wait_for_file(gate)
        try:
            return str(self._sleeper.sleep.remote(key).result())
        except RequestCancelled:
            self._journal.write("told", key)
            raise

    async def __call__(self, request: Request) -> str:
        """Waits for an HTTP request."""
        return await self.on_loop(request.query_params["key"])
