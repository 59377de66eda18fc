"""Deployments that are updated again and again, and such as hang."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import mesh


@mesh.deployment(max_ongoing_requests=4, num_replicas=2)
class Served:
    """Answers with the version that it was built with, after 20 ms."""

    def __init__(self, version: int, fails: bool = False) -> None:
        if fails:
            raise ValueError(f"version {version} is broken")
        self.version = version

    async def __call__(self, request: object = None) -> int:
        """By HTTP."""
        return await self.answer()

    async def answer(self) -> int:
        """By handle."""
        await asyncio.sleep(0.02)
        return self.version


@mesh.deployment(num_replicas=2)
class Front:
    """Asks another deployment, and says which versions have answered."""

    def __init__(self, behind: mesh.DeploymentHandle, version: int) -> None:
        self.behind = behind
        self.version = version

    async def ask(self) -> tuple[int, int]:
        """Its own version and that of the other."""
        return self.version, await self.behind.answer()


@mesh.deployment(
    request_timeout_s=0.5, health_check_period_s=0.1, health_check_timeout_s=0.5, health_check_failure_threshold=2,
    graceful_shutdown_timeout_s=0.5,
)  # fmt: skip
class Hanging:
    """Hangs when it is told to, in every way that there is."""

    async def pid(self) -> int:
        """Which process it is."""
        return os.getpid()

    def plain(self) -> int:
        """The same, on the turn."""
        return os.getpid()

    def hold_turn(self) -> None:
        """Never end."""
        threading.Event().wait()

    async def hold_loop(self) -> None:
        """Never give the loop back."""
        while True:
            time.sleep(1)  # noqa: ASYNC251 - that is what is tested
