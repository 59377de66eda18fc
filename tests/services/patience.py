"""Deployments whose calls are given up half way, in every kind that there is; they can be asked what is left of it."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket

import mesh
from mesh.segments.copying import process_pool

SLOTS = 16
"""The calls that each of them works on at once."""
LARGE_BYTES = 1_500_000
"""An array that goes through shared memory."""


def census() -> dict[str, int]:
    """What this process holds: tasks of the running loop, threads, descriptors, and segments, its own and others'.

    Segments of its own that are free for the next use count for nothing, nor does what only waits for the collector.
    """
    gc.collect()
    total_bytes, free_bytes = process_pool().sizes()
    descriptors = [_target(descriptor) for descriptor in os.listdir("/proc/self/fd")]
    return {
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "descriptors": sum("memfd:mesh-segment" not in target for target in descriptors),
        "lent bytes": total_bytes - free_bytes,
        "mapped segments": Path("/proc/self/maps").read_text().count("memfd:mesh-segment"),
    }


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # that of the listing itself
        return ""


class Asked:
    """What both deployments can be asked, when nothing else is under way."""

    def __init__(self) -> None:
        self._met = asyncio.Barrier(SLOTS)

    async def census(self) -> dict[str, int]:
        """Of this replica."""
        return census()

    async def told(self) -> tuple[int, dict[str, int]]:
        """Which process this is, and the same."""
        return os.getpid(), census()

    async def meet(self) -> int:
        """Return when as many calls are here as there are slots, so never while one of them is taken."""
        return await self._met.wait()

    async def answer(self) -> int:
        """Return at once."""
        return 0


@mesh.deployment(max_ongoing_requests=SLOTS, max_queued_requests=1000)
class Back(Asked):
    """Waits, yields, gathers and makes."""

    async def wait(self, seconds: float = 30.0) -> None:
        """On the loop."""
        await asyncio.sleep(seconds)

    def wait_on_turn(self, seconds: float) -> None:
        """On the turn, where nothing ends it before its time."""
        time.sleep(seconds)

    async def count(self) -> AsyncGenerator[int, None]:
        """Numbers without end."""
        number = 0
        while True:
            yield (number := number + 1)
            await asyncio.sleep(0)

    async def count_to(self, number: int) -> AsyncGenerator[int, None]:
        """So many numbers."""
        for value in range(number):
            yield value

    def count_on_turn(self) -> Generator[int, None, None]:
        """The same as a plain generator."""
        number = 0
        while True:
            yield (number := number + 1)

    @mesh.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def gathered(self, numbers: list[int]) -> list[int]:
        """Many calls as one, which takes its time."""
        await asyncio.sleep(0.002)
        return numbers

    async def look(self, array: Any) -> Any:
        """A large array there and back."""
        await asyncio.sleep(0.001)
        return array


@mesh.deployment(max_ongoing_requests=SLOTS, max_queued_requests=1000)
class Front(Asked):
    """Stands before a back, and before the web."""

    def __init__(self, back: mesh.DeploymentHandle) -> None:
        super().__init__()
        self._back = back

    async def wait(self) -> None:
        """For the back, on the loop."""
        await self._back.wait()

    def wait_on_turn(self) -> None:
        """For the back, in a method that has given its turn away."""
        self._back.wait.remote().result()

    def meet_on_turn(self) -> int:
        """Meets others in the back, each on a thread of its own meanwhile."""
        return int(self._back.meet.remote().result())

    async def pass_on(self) -> Any:
        """The back's numbers."""
        return self._back.count.remote()

    async def look(self, array: Any) -> Any:
        """What the back gives for an array."""
        return await self._back.look(array)

    async def make(self) -> Any:
        """A large array."""
        return np.ones(LARGE_BYTES, np.uint8)

    async def __call__(self, connection: Request | WebSocket) -> Any:
        """For the web: waits, streams, or speaks WebSocket."""
        if isinstance(connection, WebSocket):
            await connection.accept()
            while (await connection.receive())["type"] != "websocket.disconnect":
                await connection.send_text("again")
            return None
        if connection.query_params["do"] == "stream":
            return StreamingResponse(_pieces())
        if connection.query_params["do"] == "wait":
            await self._back.wait()
        return None


async def _pieces() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x" * 1000
        await asyncio.sleep(0)
