"""Deployments whose limits are tested: they hold a slot for a while, or call each other in a circle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable

import mesh


@mesh.deployment(max_ongoing_requests=10, max_queued_requests=100, threads=10)
class Holder:
    """Holds a slot for half a second and counts, in the replica, what was run and how much of it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: Counter[int] = Counter()
        self._at_once = 0
        self._most_at_once = 0

    async def hold(self, number: int, seconds: float = 0.5) -> int:
        """On the loop."""
        self._enter(number)
        await asyncio.sleep(seconds)
        return self._leave(number)

    def hold_on_turn(self, number: int) -> int:
        """On a turn; the deployment has as many turns as slots."""
        self._enter(number)
        time.sleep(0.5)
        return self._leave(number)

    def counted(self) -> tuple[dict[int, int], int]:
        """How often each number was run, and how many there were at most at once."""
        return dict(self._runs), self._most_at_once

    def _enter(self, number: int) -> None:
        with self._lock:
            self._runs[number] += 1
            self._at_once += 1
            self._most_at_once = max(self._most_at_once, self._at_once)

    def _leave(self, number: int) -> int:
        with self._lock:
            self._at_once -= 1
        return number


@mesh.deployment
class Crowd:
    """A caller of a holder, in a process of its own."""

    def __init__(self, holder: mesh.DeploymentHandle) -> None:
        self._holder = holder

    async def hold(self, numbers: Iterable[int]) -> list[int]:
        """All at once."""
        return list(await asyncio.gather(*(self._holder.hold(number, 0.05) for number in numbers)))


@mesh.deployment(max_ongoing_requests=1)
class Circle:
    """Calls itself, or another one that calls back, ``depth`` times; the answer tells the way.

    ``way`` is the kind of each method on the way, "async" or "def"; ``handles`` are called in turn.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def on_loop(self, handles: list[mesh.DeploymentHandle], way: list[str]) -> list[str]:
        """An ``async def`` method waits for the next one."""
        return [self._name, *(await _next(handles, way).value())] if way else [self._name]

    def on_turn(self, handles: list[mesh.DeploymentHandle], way: list[str]) -> list[str]:
        """A ``def`` method waits for the next one, which may need its turn."""
        return [self._name, *_next(handles, way).result()] if way else [self._name]


def _next(handles: list[mesh.DeploymentHandle], way: list[str]) -> mesh.DeploymentResponse:
    """The call of the first of the handles, which becomes the last one."""
    callee, *later = handles
    method = callee.on_turn if way[0] == "def" else callee.on_loop
    return method.remote([*later, callee], way[1:])
