"""When a check of the user's object counts as failed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mesh.config import DeploymentConfig, MethodKind
from mesh.context import ReplicaContext, Surroundings
from mesh.loops import crossing_to
from sidecar.health import HealthChecks
from sidecar.held_models import HeldModels
from sidecar.hooks import Hooks
from sidecar.turns import Turns
from sidecar.user_code import BoundMethod, ConstructionFailed

SETTINGS = DeploymentConfig(health_check_period_s=0.001, health_check_timeout_s=0.01)


class UserCode:
    """An object whose one method is ``check_health``."""

    def __init__(self, function: Callable[[], Any], kind: MethodKind) -> None:
        self._method = BoundMethod(function, kind, without_parameters=True)

    def method(self, name: str) -> BoundMethod | None:
        return self._method if name == "check_health" else None


class Watched:
    """Health checks with what they have told, and the turn that they share with others."""

    def __init__(self, function: Callable[[], Any], kind: MethodKind) -> None:
        loop = asyncio.get_running_loop()
        self.turns = Turns("A#1", 1, 1)
        self._crossing = crossing = crossing_to(loop)
        models = HeldModels(crossing, lambda: None)
        hooks = Hooks(Surroundings(ReplicaContext("app", "A", "A#1"), loop, self.turns, models), crossing)
        user_code: Any = UserCode(function, kind)
        self.checks = HealthChecks(user_code, hooks, SETTINGS)
        self.told: list[tuple[int, str]] = []
        self._changed = asyncio.Event()

    def tell(self) -> None:
        self.told.append((self.checks.failed_in_a_row, self.checks.failure))
        self._changed.set()

    async def wait_told(self, times: int) -> None:
        while len(self.told) < times:
            self._changed.clear()
            await self._changed.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.checks.repeated(self.tell):
            yield
        await self.end_turns()

    async def end_turns(self) -> None:
        """When the turn has done what it was given, and has told the loop, which is closed later."""
        done = asyncio.Event()
        self.turns.submit(lambda: self._crossing.put(lambda _: done.set(), None))
        await done.wait()
        self.turns.close()


async def test_failures_are_counted_and_forgotten_after_one_that_is_well() -> None:
    outcomes = iter([ValueError("sick"), ValueError("sick"), None])

    async def check_health() -> None:
        if (error := next(outcomes, None)) is not None:
            raise error

    watched = Watched(check_health, MethodKind.ASYNC_DEF)
    async with watched.running():
        await watched.wait_told(3)
    assert [count for count, _ in watched.told] == [1, 2, 0]
    assert ["ValueError: sick" in failure for _, failure in watched.told] == [True, True, False]


@pytest.mark.parametrize("kind", [MethodKind.DEF, MethodKind.ASYNC_DEF])
async def test_a_check_that_hangs_fails_once_for_every_timeout(kind: MethodKind) -> None:
    release = threading.Event()

    async def hang() -> None:
        await asyncio.Event().wait()

    watched = Watched(release.wait if kind is MethodKind.DEF else hang, kind)
    async with watched.running():
        await watched.wait_told(3)
        release.set()
    assert [count for count, _ in watched.told[:3]] == [1, 2, 3]
    assert "has not ended" in watched.told[0][1]


async def test_waiting_for_the_turn_is_no_failure() -> None:
    busy, checked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    watched = Watched(lambda: loop.call_soon_threadsafe(checked.set), MethodKind.DEF)
    watched.turns.submit(busy.wait)
    async with watched.running():
        await asyncio.sleep(10 * SETTINGS.health_check_timeout_s)  # nothing happens, and that is the point
        assert not checked.is_set()
        busy.set()
        await checked.wait()
    assert watched.told == []


async def test_the_first_check_fails_the_start() -> None:
    async def check_health() -> None:
        raise ValueError("sick from birth")

    with pytest.raises(ConstructionFailed, match="sick from birth"):
        await Watched(check_health, MethodKind.ASYNC_DEF).checks.begin()


async def test_a_first_check_that_hangs_fails_the_start() -> None:
    release = threading.Event()
    watched = Watched(release.wait, MethodKind.DEF)
    with pytest.raises(ConstructionFailed, match="has not ended"):
        await watched.checks.begin()
    release.set()
    await watched.end_turns()
