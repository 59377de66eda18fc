"""The controller on a real engine with real replicas: what dies is replaced, what lives is kept."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mesh.client import ControllerClient
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.engine.owner import EngineOptions, EngineProcess, start_engine
from mesh.v1 import controller_pb2 as pb

MODULE = """
class Echo:
    def __call__(self, value):
        return value

class Broken:
    def __init__(self):
        raise ValueError("no model in this folder")

    def __call__(self):
        pass
"""


@dataclass
class Mesh:
    engine: EngineProcess
    client: ControllerClient
    folder: Path

    async def run(self, target: str = "Echo", num_replicas: int = 1, version: str = "") -> int:
        spec = DeploymentSpec(
            "app",
            "Model",
            Runtime(sys.executable, (str(self.folder),), str(self.folder)),
            import_path=f"targets_of_test_processes:{target}",
            version=version,
            config=DeploymentConfig(num_replicas=num_replicas),
        )
        return await self.client.apply(Application(ApplicationSpec("app", "Model", (spec,)), {}))

    async def replicas(self, wanted: Callable[[pb.Status], bool]) -> dict[str, int]:
        """The replicas of the first status that is as wanted, with their pids; there must be one in 20 seconds."""
        async with asyncio.timeout(20), aclosing(self.client.watch_status()) as statuses:
            async for status in statuses:
                if wanted(status):
                    deployment = status.applications[0].deployments[0]
                    running = [r for r in deployment.replicas if r.state == pb.REPLICA_STATE_RUNNING]
                    return {replica.replica_id: replica.pid for replica in running}
        raise AssertionError("the watch ended")

    def controller(self) -> psutil.Process:
        (found,) = [
            process
            for process in psutil.Process(self.engine.pid).children(recursive=True)
            if "mesh: controller" in " ".join(process.cmdline())
        ]
        return found


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    (tmp_path / "targets_of_test_processes.py").write_text(MODULE)
    engine = start_engine(EngineOptions(port=0, http=False))
    client = ControllerClient(engine.run_directory, engine.token)
    yield Mesh(engine, client, tmp_path)
    await client.close()
    engine.stop(drain=False)


def runs(revision: int = 0, without: set[int] | None = None) -> Callable[[pb.Status], bool]:
    def wanted(status: pb.Status) -> bool:
        if status.revision < revision or not status.applications:
            return False
        pids = {replica.pid for replica in status.applications[0].deployments[0].replicas}
        return status.applications[0].phase == pb.PHASE_RUNNING and not pids & (without or set())

    return wanted


async def test_a_replica_that_is_killed_is_replaced_and_the_others_are_kept(mesh: Mesh) -> None:
    before = await mesh.replicas(runs(await mesh.run(num_replicas=3)))
    killed = min(before.values())
    os.kill(killed, signal.SIGKILL)
    after = await mesh.replicas(runs(without={killed}))
    assert len(after) == 3
    assert before.items() - after.items() == {item for item in before.items() if item[1] == killed}


async def test_a_controller_that_is_killed_comes_back_and_keeps_what_runs(mesh: Mesh) -> None:
    before = await mesh.replicas(runs(await mesh.run(num_replicas=2)))
    first = mesh.controller()
    killed = min(before.values())
    os.kill(first.pid, signal.SIGKILL)
    os.kill(killed, signal.SIGKILL)  # nobody is there to see it
    after = await mesh.replicas(runs(without={killed}))
    assert len(after) == 2
    assert len(before.items() & after.items()) == 1
    assert mesh.controller().pid != first.pid

    changed = await mesh.replicas(runs(await mesh.run(num_replicas=3)))
    assert after.items() < changed.items()


async def test_new_code_replaces_the_old_processes(mesh: Mesh) -> None:
    before = await mesh.replicas(runs(await mesh.run()))
    after = await mesh.replicas(runs(await mesh.run(version="2")))
    assert len(after) == 1
    assert not before.keys() & after.keys()


async def test_a_constructor_that_raises_shows_the_users_traceback(mesh: Mesh) -> None:
    revision = await mesh.run("Broken")
    shown: list[str] = []

    def failed(status: pb.Status) -> bool:
        shown.extend(application.message for application in status.applications)
        return status.revision >= revision and status.applications[0].phase == pb.PHASE_DEPLOY_FAILED

    assert await mesh.replicas(failed) == {}
    assert 'raise ValueError("no model in this folder")' in shown[-1]


async def test_the_sockets_of_the_dead_are_removed(mesh: Mesh) -> None:
    before = await mesh.replicas(runs(await mesh.run()))
    (killed,) = before.values()
    os.kill(killed, signal.SIGKILL)
    (replica_id,) = await mesh.replicas(runs(without={killed}))
    sockets = {name for name in os.listdir(mesh.engine.run_directory) if name.startswith("r-")}
    number = replica_id.rpartition("#")[2]
    assert sockets == {f"r-{number}.sock", f"r-{number}.frames.sock"}
