"""Controller, client and registration over a real socket; only the machine below is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from mesh.client import ControllerClient
from mesh.clock import SystemClock
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime, blob_name
from mesh.controller.__main__ import serving
from mesh.controller.controller import Controller, Wish
from mesh.controller.events import Ended, Event
from mesh.controller.inbox import Inbox
from mesh.controller.policies import Answered
from mesh.controller.server import ControllerServicer
from mesh.controller.store import Store
from mesh.errors import ConfigError, DeploymentNotFound, MeshUnavailable
from mesh.testing import FakeLauncher
from mesh.v1 import controller_pb2 as pb
from mesh.v1 import deployment_pb2, engine_pb2
from sidecar.register import Registration

T = TypeVar("T")
TOKEN = "token"
CODE = b"pickled"


def application(name: str = "app", route_prefix: str = "/", **changes: object) -> Application:
    spec = DeploymentSpec(name, "Model", Runtime("python", (), "/"), target_blob=blob_name(CODE))
    return Application(
        ApplicationSpec(name, "Model", (replace(spec, **changes),), route_prefix), {blob_name(CODE): CODE}
    )


async def first(values: AsyncGenerator[T, None], wanted: Callable[[T], object]) -> T:
    """The first value that is as wanted; the test fails when there is none within ten seconds."""
    async with asyncio.timeout(10), aclosing(values):
        async for value in values:
            if wanted(value):
                return value
    raise AssertionError("the watch ended")


def phase_is(phase: pb.Phase, after: int = 0) -> Callable[[pb.Status], bool]:
    return lambda status: status.revision >= after and [a.phase for a in status.applications] == [phase]


class World:
    """A run directory, a machine that starts replicas in this process, and one controller after the other."""

    def __init__(self, run_directory: Path) -> None:
        self.run_directory = str(run_directory)
        self.client = ControllerClient(self.run_directory, TOKEN)
        self.inbox: Inbox[Event | Wish] = Inbox()
        self.launcher = FakeLauncher(
            lambda name, pid, status: self.inbox.post(Ended(name, f"ended with {status}")), self.on_launch
        )
        self.failing = False
        self.configured: asyncio.Queue[DeploymentConfig] = asyncio.Queue()
        self.replicas: set[asyncio.Task[None]] = set()
        self.incarnation = 0

    def blobs(self) -> list[bytes]:
        return [path.read_bytes() for path in Path(self.run_directory, "store", "blobs").iterdir()]

    def on_launch(self, request: engine_pb2.Launch, pid: int) -> None:
        self.replicas.add(asyncio.create_task(self.replica(request, pid)))

    async def replica(self, request: engine_pb2.Launch, pid: int) -> None:
        launch = deployment_pb2.ReplicaLaunch.FromString(request.argument)
        drained = asyncio.Event()
        line = Registration(self.client, launch.replica_id, lambda _: drained.set(), self.configured.put_nowait)
        async with line:
            line.starting(pid)
            if self.failing:
                await line.failed("ValueError: no model", "Traceback ...")
            else:
                line.ready(pid, launch.address)
                await drained.wait()
        self.launcher.end(launch.replica_id)

    async def controller(self, stack: AsyncExitStack) -> Controller:
        self.incarnation += 1
        self.inbox = Inbox()
        clock = SystemClock()
        store = await Store.open(Path(self.run_directory, "store"))
        stack.push_async_callback(store.close)
        controller = Controller(store, self.launcher, clock, self.inbox, self.run_directory)
        await controller.start()
        running = asyncio.create_task(controller.run())
        stack.push_async_callback(self.end, running)
        servicer = ControllerServicer(controller, clock)
        await stack.enter_async_context(serving(servicer, self.run_directory, TOKEN, self.incarnation))
        return controller

    async def end(self, running: asyncio.Task[None]) -> None:
        """As a kill would: at once, nothing drained."""
        running.cancel()
        await asyncio.wait((running,))

    async def close(self) -> None:
        for task in self.replicas:
            task.cancel()
        await asyncio.gather(*self.replicas, return_exceptions=True)
        await self.client.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    await world.close()


async def test_from_apply_to_running_to_deleted(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        revision = await world.client.apply(application())
        status = await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING, revision))
        (replica,) = status.applications[0].deployments[0].replicas

        endpoints = await first(world.client.watch_endpoints("app", "Model"), lambda found: found.endpoints)
        assert [(e.replica_id, e.address) for e in endpoints.endpoints] == [(replica.replica_id, replica.address)]
        routes = await first(world.client.watch_routes(), bool)
        assert [(route.prefix, route.application, route.deployment) for route in routes] == [("/", "app", "Model")]
        assert world.blobs() == [CODE]

        await world.client.delete("app")
        await first(world.client.watch_status(), lambda status: not status.applications)
        gone = await first(world.client.watch_endpoints("app", "Model"), lambda found: found.deleted)
        assert "there is no deployment 'Model'" in gone.message
        assert (await world.launcher.list(), world.blobs()) == ({}, [])


async def test_a_failure_is_shown_with_its_traceback_and_given_up_after_three_tries(world: World) -> None:
    world.failing = True
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        status = await first(world.client.watch_status(), phase_is(pb.PHASE_DEPLOY_FAILED))
        assert "ValueError: no model\nTraceback ..." in status.applications[0].message
        assert len(world.launcher.requests) == 3


async def test_a_launch_that_the_engine_refuses_counts_as_a_failed_start(world: World) -> None:
    world.launcher.refusal = "no such interpreter"
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        status = await first(world.client.watch_status(), phase_is(pb.PHASE_DEPLOY_FAILED))
        assert "could not be started: no such interpreter" in status.applications[0].message


async def test_events_are_told_once_each_over_the_death_of_the_controller(world: World) -> None:
    told: list[str] = []

    def until(last: str) -> Callable[[tuple[pb.Event, ...]], bool]:
        def is_last(new: tuple[pb.Event, ...]) -> bool:
            told.extend(event.what for event in new)
            return last in told

        return is_last

    async with AsyncExitStack() as stack:
        await world.controller(stack)
        watch = world.client.watch_events(0)
        await world.client.apply(application())
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        await world.client.apply(application(config=DeploymentConfig(num_replicas=2)))
        await first(
            world.client.watch_status(), lambda status: len(status.applications[0].deployments[0].replicas) == 2
        )
        kept = await world.client.events()
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        again = await world.client.events()
        assert [event.what for event in again][:4] == [event.what for event in kept][:4]
        assert again[0].at_s == kept[0].at_s > 1e9
        await world.client.delete("app")
        await first(watch, until("gone"))
    assert told[:2] == ["applied", "wished for"]
    assert [told.count(what) for what in ("scaled", "deleted", "gone")] == [1, 1, 1]


async def test_who_has_seen_more_than_is_known_hears_all_that_is_known(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        told = await first(world.client.watch_events(10**6), bool)
        assert told[0].what == "applied"


async def test_the_answer_of_a_policy_is_posted_once_however_often_it_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: asyncio.Queue[object] = asyncio.Queue()

    async def words() -> AsyncGenerator[pb.AttachRequest, None]:
        for number in (0, 7, 7, 7, 8):
            answer = pb.PolicyAnswer(number=number, replicas=2.0) if number else None
            yield pb.AttachRequest(replica_id="Model#1", ready=pb.ReplicaReady(pid=1, policy_answer=answer))
        await asyncio.Event().wait()

    async with AsyncExitStack() as stack:
        monkeypatch.setattr(await world.controller(stack), "post", posted.put_nowait)
        line = asyncio.ensure_future(anext(world.client.attach(words())))
        found: list[object] = []
        async with asyncio.timeout(10):
            while Answered(8, 2.0) not in found:
                found.append(await posted.get())
        assert [one for one in found if isinstance(one, Answered)] == [Answered(7, 2.0), Answered(8, 2.0)]
        line.cancel()
        await asyncio.wait((line,))


async def test_a_replica_that_serves_and_falls_silent_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.controller.server.SHORTEST_SILENCE_S", 0.05)
    config = DeploymentConfig(health_check_period_s=0.05, health_check_timeout_s=0.2)
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application(config=config))
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        assert len(world.launcher.requests) == 1
        monkeypatch.setattr(Registration, "repeat_s", property(lambda _: 100.0, lambda _, value: None), raising=False)
        await first(world.client.watch_status(), lambda status: status.applications[0].deployments[0].restarts)
        message = (await world.client.status()).applications[0].deployments[0].message
        assert "has said nothing for" in message


async def test_settings_reach_the_replica_without_a_restart(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        changed = DeploymentConfig(max_ongoing_requests=3)
        await world.client.apply(application(config=changed))
        async with asyncio.timeout(10):
            while await world.configured.get() != changed:
                pass
        endpoints = await first(world.client.watch_endpoints("app", "Model"), lambda found: found.endpoints)
        assert endpoints.config.max_ongoing_requests == 3
        assert len(world.launcher.requests) == 1


async def test_the_next_controller_takes_over_and_watches_go_on(world: World) -> None:
    watching = world.client.watch_endpoints("app", "Model")
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        async for before in watching:
            if before.endpoints:
                break
    async with AsyncExitStack() as stack, asyncio.timeout(10), aclosing(watching):
        await world.controller(stack)
        after = await anext(watching)
        assert list(after.endpoints) == list(before.endpoints)
        revision = await world.client.apply(application(config=DeploymentConfig(num_replicas=2)))
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING, revision))
        assert len(world.launcher.requests) == 2, "the first one kept its place"


async def test_a_replica_that_ended_while_no_controller_was_there_is_replaced(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
    (replica_id,) = await world.launcher.list()
    world.launcher.end(replica_id, -9)
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        status = await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        assert [replica.replica_id != replica_id for replica in status.applications[0].deployments[0].replicas] == [
            True
        ]


async def test_a_wish_waits_for_the_controller_to_come_back(world: World) -> None:
    waiting = asyncio.create_task(world.client.apply(application()))
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        assert await waiting > 0


async def test_told_to_stop_it_drains_and_keeps_the_wishes(world: World) -> None:
    async with AsyncExitStack() as stack:
        controller = await world.controller(stack)
        await world.client.apply(application())
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))
        controller.stop()
        async with asyncio.timeout(10):
            await asyncio.gather(*world.replicas)
        assert await world.launcher.list() == {}
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await first(world.client.watch_status(), phase_is(pb.PHASE_RUNNING))


async def test_refusals_are_errors_of_the_mesh(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        await world.client.apply(application())
        with pytest.raises(ConfigError, match="application 'other' cannot have the route prefix '/'"):
            await world.client.apply(application("other"))
        with pytest.raises(DeploymentNotFound, match="there is no application 'other'; there are: app"):
            await world.client.delete("other")


async def test_without_the_token_nothing_is_answered(world: World) -> None:
    async with AsyncExitStack() as stack:
        await world.controller(stack)
        stranger = ControllerClient(world.run_directory, "guessed")
        stack.push_async_callback(stranger.close)

        async def reports() -> AsyncGenerator[pb.AttachRequest, None]:
            yield pb.AttachRequest(replica_id="Model#1", starting=pb.ReplicaStarting(pid=1))

        with pytest.raises(MeshUnavailable, match="the token is not its own"):
            await stranger.apply(application())
        with pytest.raises(MeshUnavailable, match="the token is not its own"):
            await anext(stranger.watch_status())
        with pytest.raises(MeshUnavailable, match="the token is not its own"):
            await anext(stranger.attach(reports()))
        assert not (await world.client.status()).applications
