"""A store that takes nothing: what is wished for is refused with the reason, what runs goes on, and it recovers."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import mesh
from mesh.errors import MeshUnavailable
from tests.e2e.commands import wait_until
from tests.e2e.load import Load
from tests.e2e.running_mesh import Run, RunningMesh, kill
from tests.services.journal import Journal
from tests.services.worker import Worker


@contextmanager
def no_room(pid: int) -> Iterator[None]:
    """As on a full disk, every write of that process to a file fails."""
    process = psutil.Process(pid)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.rlimit(resource.RLIMIT_FSIZE, before)


async def test_full_disk_refuses_wishes_and_stops_nothing_that_runs(
    own_mesh: RunningMesh, run: Run, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    worker = run(Worker.options(num_replicas=2, retry_on_death=True).bind(journal.path))
    before, controller = own_mesh.replicas(), own_mesh.processes()["controller"]
    victim = min(before.values())
    async with Load(worker.work, at_a_time=8) as load:
        with no_room(controller):
            for refused in (Worker.options(name="Other").bind(journal.path), Worker.bind(journal.path, version=2)):
                with pytest.raises(MeshUnavailable, match=r"the store in .* cannot be written: .*nothing was changed"):
                    mesh.run(refused, name="other", route_prefix=None)
            kill(victim)
            wait_until(lambda: victim not in own_mesh.replicas().values())
            await load.wait_for_more()
            assert "cannot be written" in mesh.status().trouble
            assert [application.name for application in mesh.status().applications] == ["default"]
            assert own_mesh.processes()["controller"] == controller
        await load.wait(lambda: len({pid for _, pid in load.answers.values()} - set(before.values())) == 1)
        other = run(Worker.options(name="Other").bind(journal.path), name="other")
        assert (await other.work("there is room again"))[0] == 1
    assert not load.errors
    assert not mesh.status().trouble
    assert own_mesh.processes()["controller"] == controller
    assert len(own_mesh.replicas("Worker")) == 2


async def test_told_to_stop_on_a_full_disk_a_controller_drains_as_usual(
    own_mesh: RunningMesh, run: Run, tmp_path: Path
) -> None:
    worker = run(Worker.options(num_replicas=2).bind(Journal(tmp_path / "journal").path))
    before, controller = own_mesh.replicas(), own_mesh.processes()["controller"]
    async with Load(worker.work, at_a_time=8) as load:
        with no_room(controller):
            os.kill(controller, signal.SIGTERM)
            wait_until(lambda: not before.keys() & own_mesh.replicas().keys())
        own_mesh.wait_for_another("controller", than=controller)
        await load.wait_for_more()
    assert not load.errors, "what had been begun was answered, the rest waited for the next replicas"
