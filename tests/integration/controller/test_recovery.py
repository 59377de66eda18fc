"""The controller dies at drawn points of every operation: what was wished for comes true, and what is healthy stays."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mesh.client import ControllerClient
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.engine.owner import EngineOptions, EngineProcess, start_engine
from mesh.errors import DeploymentNotFound, MeshUnavailable
from mesh.v1 import controller_pb2 as pb
from tests.services.dying_controller import VARIABLE

MODULE = """
class Echo:
    def __call__(self, value):
        return value
"""
LIMIT_S = 40

POINTS = {"apply": 6, "update": 8, "more": 4, "fewer": 2, "replace": 4, "delete": 2}
"""The operations, and points that each of them passes at least: one before and one behind every write, launch and kill.

Those behind a launch or a kill may come in any order with those of the next write.
"""
DRAWN = 20


def drawn() -> list[tuple[str, int]]:
    """Operations with a point of theirs: each operation three times at least, the rest as it falls."""
    draw = random.Random(5)
    operations = [name for name in POINTS for _ in range(3)]
    operations += draw.choices(list(POINTS), k=DRAWN - len(operations))
    taken: set[tuple[str, int]] = set()
    for name in operations:
        free = [(name, point) for point in range(POINTS[name]) if (name, point) not in taken]
        taken.add(draw.choice(free or [("update", point) for point in range(8) if ("update", point) not in taken]))
    return sorted(taken)


@dataclass
class Mesh:
    """A mesh whose controller dies when it is told to."""

    engine: EngineProcess
    client: ControllerClient
    folder: Path
    death: Path

    async def apply(self, num_replicas: int, version: str = "") -> None:
        """Wish for the application; wishes that the death of the controller left without an answer are said again."""
        spec = DeploymentSpec(
            "app",
            "Model",
            Runtime(sys.executable, (str(self.folder),), str(self.folder)),
            import_path="targets_of_test_recovery:Echo",
            version=version,
            config=DeploymentConfig(num_replicas=num_replicas),
        )
        await self._until_answered(lambda: self.client.apply(Application(ApplicationSpec("app", "Model", (spec,)), {})))

    async def delete(self) -> None:
        with suppress(DeploymentNotFound):  # asked again, when the one without an answer has come true
            await self._until_answered(lambda: self.client.delete("app"))

    async def replicas(self, number: int, wanted: Callable[[set[int]], bool] = lambda pids: True) -> set[int]:
        """The pids of the replicas as soon as the application runs with so many, and no others are left."""
        async with asyncio.timeout(LIMIT_S), aclosing(self.client.watch_status()) as statuses:
            async for status in statuses:
                replicas = [r for app in status.applications for d in app.deployments for r in d.replicas]
                running = {r.pid for r in replicas if r.state == pb.REPLICA_STATE_RUNNING}
                phases = {application.phase for application in status.applications}
                if len(running) == len(replicas) == number and phases <= {pb.PHASE_RUNNING} and wanted(running):
                    return running
        raise AssertionError("the watch ended")

    def controller(self) -> int:
        return next(pid for pid, title in self.processes().items() if title == "mesh: controller")

    def processes(self) -> dict[int, str]:
        found = psutil.Process(self.engine.pid).children(recursive=True)
        return {process.pid: " ".join(process.cmdline()).strip() for process in found if process.is_running()}

    async def _until_answered(self, ask: Callable[[], object]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    await ask()  # type: ignore[misc]
                except MeshUnavailable:
                    continue
                return


@pytest.fixture
async def mesh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mesh]:
    (tmp_path / "targets_of_test_recovery.py").write_text(MODULE)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "death"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))  # the engine imports the role from there
    options = EngineOptions(port=0, http=False, controller_role="tests.services.dying_controller:main")
    engine = start_engine(options)
    client = ControllerClient(engine.run_directory, engine.token)
    yield Mesh(engine, client, tmp_path, tmp_path / "death")
    await client.close()
    engine.stop(drain=False)


@pytest.mark.parametrize(("operation", "point"), drawn())
async def test_crash_at_a_point_of_an_operation_changes_nothing_of_its_outcome(
    mesh: Mesh, operation: str, point: int
) -> None:
    before: set[int] = set()
    if operation != "apply":
        await mesh.apply(2)
        before = await mesh.replicas(2)
    await mesh.client.status()  # the controller is there
    controller = mesh.controller()
    mesh.death.write_text(str(point))
    match operation:
        case "apply":
            await mesh.apply(2)
            after = await mesh.replicas(2)
        case "update":
            await mesh.apply(2, version="2")
            after = await mesh.replicas(2, lambda pids: not pids & before)
        case "more":
            await mesh.apply(3)
            after = await mesh.replicas(3)
            assert before < after, "those that were healthy are the same processes"
        case "fewer":
            await mesh.apply(1)
            after = await mesh.replicas(1)
            assert after < before
        case "replace":
            os.kill(min(before), signal.SIGKILL)
            after = await mesh.replicas(2, lambda pids: min(before) not in pids)
            assert max(before) in after
        case "delete":
            await mesh.delete()
            after = await mesh.replicas(0)
    assert not mesh.death.exists(), "the controller came to the point"
    assert mesh.controller() != controller
    assert {pid for pid, title in mesh.processes().items() if "replica" in title} == after, "and no others are left"
