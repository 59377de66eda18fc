"""The controller while its store takes nothing: nothing new is begun, what has to end ends, and it does not spin."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import suppress
from math import inf
from pathlib import Path

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime, blob_name
from mesh.controller.controller import Controller, Posted
from mesh.controller.demand import Demand, Reported
from mesh.controller.events import Detached, Ended, Said, Silent
from mesh.controller.inbox import Inbox
from mesh.controller.state import ATTACH_TIMEOUT_S, ReplicaEvent
from mesh.controller.store import Key, Store, StoreUnwritable
from mesh.testing import FakeClock, FakeLauncher
from mesh.v1 import controller_pb2 as pb
from mesh.v1 import engine_pb2

CODE = b"pickled"
TICKS = 1000
"""In so many turns of the loop one that spins makes hundreds of steps."""


class FullStore(Store):
    """A store that takes nothing while it ``is_full``, and tidies nothing while it ``is_short`` of descriptors."""

    is_full = False
    is_short = False
    tries = 0

    async def save(
        self, expected_revision: int, changes: Mapping[Key, bytes | None], blobs: Mapping[str, bytes]
    ) -> int:
        self.tries += 1
        if self.is_full:
            raise StoreUnwritable("the store cannot be written: no room")
        return await super().save(expected_revision, changes, blobs)

    async def keep_only_blobs(self, names: Set[str]) -> None:
        if self.is_short:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        await super().keep_only_blobs(names)


class Loop:
    """A controller at work on a clock that stands still; its replicas are ready as soon as they are launched."""

    def __init__(self, store: FullStore, run_directory: Path) -> None:
        self.store = store
        self.clock = FakeClock(1000.0)
        self.inbox: Inbox[Posted] = Inbox()
        self.launcher = FakeLauncher(
            lambda name, pid, status: self.inbox.post(Ended(name, f"ended with {status}")), self.on_launch
        )
        self.controller = Controller(store, self.launcher, self.clock, self.inbox, str(run_directory))

    def on_launch(self, request: engine_pb2.Launch, pid: int) -> None:
        self.inbox.post(Said(request.process_id, 1, ReplicaEvent.SAID_READY, pid=pid))

    def status(self) -> pb.Status:
        publisher = self.controller.publisher
        return publisher.status(*publisher.states.latest(""))

    async def runs(self, config: DeploymentConfig | None = None) -> str:
        """The id of the one replica, which runs, and of which nothing waits to be stored."""
        await self.controller.apply(application(config))
        await until(lambda: [one.phase for one in self.status().applications] == [pb.PHASE_RUNNING])
        (replica_id,) = await self.launcher.list()
        return replica_id

    async def has_ended(self, replica_id: str) -> None:
        async with asyncio.timeout(10):
            while replica_id in await self.launcher.list():  # noqa: ASYNC110 - the fake machine tells nobody
                await asyncio.sleep(0)

    async def again(self) -> None:
        """The time of the next try has come."""
        self.clock.advance(1.0)
        self.inbox.post(Detached("nobody", 1))


def application(config: DeploymentConfig | None = None) -> Application:
    spec = DeploymentSpec(
        "app", "Model", Runtime("python", (), "/"), target_blob=blob_name(CODE), config=config or DeploymentConfig()
    )
    return Application(ApplicationSpec("app", "Model", (spec,)), {blob_name(CODE): CODE})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what it looks at tells nobody
            await asyncio.sleep(0)


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Loop]:
    store = await FullStore.open(tmp_path / "store")
    assert isinstance(store, FullStore)
    loop = Loop(store, tmp_path)
    await loop.controller.start()
    running = asyncio.create_task(loop.controller.run())
    yield loop
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await store.close()


async def test_a_request_that_waits_for_a_first_replica_makes_nobody_spin(loop: Loop) -> None:
    scaling = AutoscalingConfig(min_replicas=0, max_replicas=1)
    await loop.controller.apply(application(DeploymentConfig(autoscaling_config=scaling)))
    loop.store.is_full, loop.store.tries = True, 0
    loop.inbox.post(Reported(1, {("app", "Model"): Demand(0, 1)}))
    await until(lambda: loop.store.tries)
    for _ in range(TICKS):
        await asyncio.sleep(0)
    assert loop.store.tries == 1
    loop.store.is_full = False
    await loop.again()
    await until(lambda: loop.launcher.requests)


@pytest.mark.parametrize("how", ["its loop is held", "its line is gone"])
async def test_a_replica_that_hangs_is_killed_and_replaced_when_there_is_room(loop: Loop, how: str) -> None:
    replica_id = await loop.runs()
    loop.store.is_full = True
    if how == "its loop is held":
        loop.inbox.post(Silent(replica_id, 1, 40.0))
    else:
        loop.inbox.post(Detached(replica_id, 1))
        await until(lambda: loop.controller.publisher.states.latest("")[0].replicas[replica_id].line == 0)
        loop.clock.advance(ATTACH_TIMEOUT_S)
        await loop.again()
    await loop.has_ended(replica_id)
    await until(lambda: not loop.status().applications[0].deployments[0].replicas)
    assert len(loop.launcher.requests) == 1, "a launch has to be stored first"
    loop.store.is_full = False
    await loop.again()
    await until(lambda: len(loop.launcher.requests) == 2)


async def test_what_nobody_wishes_for_is_killed(loop: Loop) -> None:
    replica_id = await loop.runs()
    loop.store.is_full = True
    loop.launcher.end(replica_id)
    await until(lambda: loop.status().trouble)
    await loop.launcher.launch(engine_pb2.Launch(process_id="Stray#1"))
    await loop.has_ended("Stray#1")


async def test_told_to_stop_it_drains_all_the_same(loop: Loop) -> None:
    replica_id = await loop.runs()
    loop.store.is_full = True
    loop.controller.stop()
    await until(lambda: loop.controller.publisher.orders.latest(replica_id).drain_by_s < inf)
    assert replica_id in await loop.launcher.list(), "it has its time"
    loop.clock.advance(1000.0)
    await loop.again()
    await loop.has_ended(replica_id)
    await until(lambda: not loop.status().applications[0].deployments[0].replicas)


async def test_the_status_says_so_for_as_long_as_something_waits_to_be_stored(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    replica_id = await loop.runs()
    loop.store.is_full = True
    for tries in (1, 2):
        with pytest.raises(StoreUnwritable, match="cannot be written: no room; nothing was changed"):
            await loop.controller.delete("app")
        await until(lambda: not loop.status().trouble)
        assert len(caplog.messages) == tries, "nothing waits after the refusal, so the next one is told again"
    loop.launcher.end(replica_id)
    await until(lambda: loop.status().trouble)
    assert "cannot be written: no room; until it can be, nothing new is started" in loop.status().trouble
    tries = loop.store.tries
    for number in range(3):
        await loop.again()
        await until(lambda: loop.store.tries > tries + number)  # noqa: B023 - awaited here
    assert len(caplog.messages) == 3, "once, not at every try"
    loop.store.is_full = False
    await loop.again()
    await until(lambda: len(loop.launcher.requests) == 2 and not loop.status().trouble)


async def test_blobs_that_cannot_be_tidied_stay_until_the_next_change(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.store.is_short = True
    async with asyncio.timeout(10):
        await loop.runs()
        (loop.store.blob_directory / "old").write_bytes(b"")
        await loop.controller.scale("app", "Model", 2)
    await until(lambda: len(loop.launcher.requests) == 2)
    assert "Too many open files" in caplog.text
    loop.store.is_short = False
    await loop.controller.scale("app", "Model", 1)
    assert not (loop.store.blob_directory / "old").exists()
