"""What is seen of it when replicas, controller, bridge, owner and engine are killed while they are needed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

import mesh
from mesh.errors import ReplicaDied
from tests.e2e.commands import LIMIT_S, ROOT, run_python, wait_until
from tests.e2e.load import Load
from tests.e2e.running_mesh import GONE_WITHIN_S, Run, RunningMesh, kill
from tests.services.journal import Journal
from tests.services.worker import Worker

BACK_WITHIN_S = 1.0
"""Seconds after which what was killed is replaced and answers."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def test_death_of_a_replica_costs_only_the_requests_it_held(
    own_mesh: RunningMesh, run: Run, journal: Journal
) -> None:
    worker = run(Worker.options(num_replicas=4).bind(journal.path))
    before = own_mesh.replicas()
    async with Load(worker.work, at_a_time=24) as load:
        held = asyncio.ensure_future(worker.work("held", 60))
        await load.wait(lambda: "held" in journal.keys("begun"))
        victim_pid = next(pid for _, key, pid in journal.lines() if key == "held")
        victim = next(replica_id for replica_id, pid in before.items() if pid == victim_pid)
        kill(victim_pid)
        killed_s = monotonic()
        await load.wait(lambda: not {pid for _, pid in load.answers.values()} <= set(before.values()))
        await load.wait_for_more()
    assert len(before) == 4
    back_s = min(load.answered_s[key] for key, (_, pid) in load.answers.items() if pid not in before.values())
    assert back_s - killed_s < BACK_WITHIN_S
    with pytest.raises(ReplicaDied, match=victim):
        await held
    assert len(load.errors) < 8, "it held max_ongoing_requests at most, one of them the call above"
    for error in load.errors.values():
        assert isinstance(error, ReplicaDied)
        assert victim in str(error)
    begun_elsewhere = {key for event, key, pid in journal.lines() if event == "begun" and pid != victim_pid}
    assert not load.errors.keys() & begun_elsewhere


async def test_death_of_a_replica_is_not_seen_where_calls_may_be_repeated(
    own_mesh: RunningMesh, run: Run, journal: Journal
) -> None:
    worker = run(Worker.options(num_replicas=4, retry_on_death=True).bind(journal.path))
    before = own_mesh.replicas()
    async with Load(worker.work, at_a_time=24) as load:
        held = asyncio.ensure_future(worker.work("held", 1))
        await load.wait(lambda: "held" in journal.keys("begun"))
        victim = next(pid for _, key, pid in journal.lines() if key == "held")
        kill(victim)
        await load.wait(lambda: not {pid for _, pid in load.answers.values()} <= set(before.values()))
        _, answered = await held
    assert not load.errors
    assert answered != victim
    assert journal.keys("begun").count("held") == 2


async def test_death_of_the_controller_is_seen_by_no_request(
    own_mesh: RunningMesh, run: Run, journal: Journal, tmp_path: Path
) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path))
    before = own_mesh.replicas()
    async with Load(worker.work, at_a_time=12) as load:
        await load.wait_for_more()
        controller = own_mesh.processes()["controller"]
        kill(controller)
        own_mesh.wait_for_another("controller", than=controller)
        other = run(Worker.options(name="Other").bind(tmp_path / "other"), name="other")
        assert await other.work("first") == (1, own_mesh.replicas("Other").popitem()[1])
        await load.wait_for_more()
    assert not load.errors
    assert own_mesh.replicas("Worker") == before
    (application,) = (found for found in mesh.status().applications if found.name == "default")
    (deployment,) = application.deployments
    assert {replica.replica_id: replica.pid for replica in deployment.replicas} == before
    assert deployment.restarts == 0


async def test_replica_that_dies_while_there_is_no_controller_is_replaced(
    own_mesh: RunningMesh, run: Run, journal: Journal
) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path))
    before = own_mesh.replicas()
    victim, survivor = before.values()
    controller = own_mesh.processes()["controller"]
    os.kill(own_mesh.engine_pid, signal.SIGSTOP)  # so that nobody starts a new controller between the two deaths
    try:
        kill(controller, victim)
    finally:
        os.kill(own_mesh.engine_pid, signal.SIGCONT)
    async with Load(worker.options(retry_on_death=True).work, at_a_time=12) as load:
        await load.wait(lambda: not {pid for _, pid in load.answers.values()} <= set(before.values()))
    assert not load.errors
    after = own_mesh.replicas()
    assert len(after) == 2
    assert survivor in after.values()


async def test_update_goes_on_when_the_controller_dies_in_the_middle_of_it(
    own_mesh: RunningMesh, run: Run, journal: Journal, tmp_path: Path
) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path))
    gate = tmp_path / "gate"
    async with Load(worker.work, at_a_time=12) as load:
        update = asyncio.create_task(
            asyncio.to_thread(run, Worker.options(num_replicas=2).bind(journal.path, version=2, gate=gate))
        )
        await load.wait(lambda: len(own_mesh.replicas()) == 4)  # the new ones wait in their constructors
        controller = own_mesh.processes()["controller"]
        kill(controller)
        own_mesh.wait_for_another("controller", than=controller)
        gate.touch()
        await update
        assert (await worker.work("after"))[0] == 2
    assert not load.errors
    wait_until(lambda: len(own_mesh.replicas()) == 2)  # the old ones have drained


async def test_death_of_a_replica_is_502_for_http_requests_that_it_held(
    own_mesh: RunningMesh, run: Run, journal: Journal
) -> None:
    run(Worker.options(num_replicas=2).bind(journal.path), route_prefix="/")
    before = own_mesh.replicas()
    async with httpx.AsyncClient(base_url=own_mesh.url, timeout=LIMIT_S) as client:

        async def get(key: str) -> tuple[int, int]:
            answer = await client.get(f"/?key={key}")
            version, pid = answer.json() if answer.status_code == 200 else (0, 0)
            assert answer.status_code in (200, 502), answer.text
            return version, pid

        async with Load(get, at_a_time=10) as load:
            await load.wait(lambda: {pid for _, pid in load.answers.values()} == set(before.values()))
            kill(next(iter(before.values())))
            await load.wait(lambda: not {pid for _, pid in load.answers.values()} <= {0, *before.values()})
    assert not load.errors
    assert [version for version, _ in load.answers.values()].count(0) <= 8


async def test_death_of_the_bridge_is_over_within_a_second(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    run(Worker.bind(journal.path), route_prefix="/")
    bridge = own_mesh.processes()["bridge"]
    async with httpx.AsyncClient(base_url=own_mesh.url, timeout=LIMIT_S) as client:
        assert (await client.get("/?key=before")).status_code == 200
        kill(bridge)
        killed_s = monotonic()
        while True:
            try:
                answer = await client.get("/?key=after")
            except httpx.TransportError:  # a connection that the dead one held
                continue
            break
        assert monotonic() - killed_s < BACK_WITHIN_S
    assert answer.status_code == 200
    assert own_mesh.processes()["bridge"] != bridge


@contextmanager
def _owner(journal: Journal) -> Iterator[tuple[subprocess.Popen[str], RunningMesh]]:
    """A script that owns a mesh and has two long calls under way, with the mesh as it is seen from here."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.services.owner", str(journal.path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            engine_pid, run_directory, url, _ = json.loads(process.stdout.readline())
            wait_until(lambda: len(journal.keys("begun")) == 2)
            yield process, RunningMesh(engine_pid, Path(run_directory), url)
        finally:
            process.kill()


@pytest.mark.feature("60")
def test_death_of_the_owner_ends_everything(journal: Journal) -> None:
    with _owner(journal) as (owner, theirs):
        assert len(theirs.processes()) == 6
        kill(owner.pid)
        assert theirs.wait_gone() < GONE_WITHIN_S
        wait_until(lambda: not theirs.run_directory.exists())
    assert not journal.keys("ended")


def test_death_of_the_engine_ends_everything_and_the_next_start_sweeps(journal: Journal) -> None:
    with _owner(journal) as (_, theirs):
        kill(theirs.engine_pid)
        assert theirs.wait_gone() < GONE_WITHIN_S
        _start_sweeps(theirs.run_directory)


def test_death_of_owner_and_engine_at_once_ends_everything_and_the_next_start_sweeps(journal: Journal) -> None:
    with _owner(journal) as (owner, theirs):
        kill(theirs.engine_pid, owner.pid)
        assert theirs.wait_gone() < GONE_WITHIN_S
        _start_sweeps(theirs.run_directory)


def _start_sweeps(run_directory: Path) -> None:
    """What a killed engine could not remove is removed by whatever mesh is started next."""
    assert run_directory.exists()
    ended = run_python("-c", "import mesh; mesh.start(http_options=mesh.HTTPOptions(port=0))")
    assert ended.code == 0, ended.stderr
    assert not run_directory.exists()


def test_calls_after_the_death_of_the_engine_fail_and_the_script_can_start_anew(journal: Journal) -> None:
    ended = run_python("-m", "tests.services.bereaved_owner", str(journal.path))
    assert ended.code == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout.split() == ["ReplicaDied", "MeshUnavailable", "2"]
