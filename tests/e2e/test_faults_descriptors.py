"""No descriptors left in one of the processes: it does not spin, what it has goes on, and it recovers."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import httpx
import psutil
import pytest

import mesh
from mesh.client import ControllerClient
from mesh.engine import places
from mesh.errors import DeployFailed
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.patience import Back, Front

MOST_CPU = 0.5
"""A process that waits for descriptors uses less than this part of one processor; one that spins uses all of it."""


@contextmanager
def no_descriptors(pid: int, spare: int = 0) -> Iterator[psutil.Process]:
    """The process may open ``spare`` more than it has, and no other."""
    process = psutil.Process(pid)
    before = process.rlimit(resource.RLIMIT_NOFILE)
    taken = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    free = (number for number in count() if number not in taken)
    process.rlimit(resource.RLIMIT_NOFILE, (next(islice(free, spare, None)), before[1]))  # none is given from there on
    try:
        yield process
    finally:
        process.rlimit(resource.RLIMIT_NOFILE, before)


async def cpu_share(process: psutil.Process) -> float:
    """The part of a processor that it uses for a second; of its own time, so a busy machine makes it only less."""
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(1)
    return sum(process.cpu_times()[:2]) - before


async def test_bridge_without_descriptors_answers_who_is_connected(own_mesh: RunningMesh, run: Run) -> None:
    run(Front.bind(Back.bind()), route_prefix="/")
    bridge, port = own_mesh.processes()["bridge"], int(own_mesh.url.rpartition(":")[2])
    health = f"{own_mesh.url}/-/healthz"
    async with httpx.AsyncClient(timeout=LIMIT_S) as connected, httpx.AsyncClient(timeout=LIMIT_S) as new:
        assert (await connected.get(health)).status_code == 200
        with no_descriptors(bridge, spare=5) as process:
            others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
            assert await cpu_share(process) < MOST_CPU
            assert (await connected.get(health)).status_code == 200
            for _, writer in others:
                writer.close()
            async with asyncio.timeout(LIMIT_S):
                while await _status(new, health) != 200:
                    pass  # the bridge has not seen yet that the others are gone
    assert own_mesh.processes()["bridge"] == bridge


async def test_replica_without_descriptors_answers_who_has_a_session(own_mesh: RunningMesh, run: Run) -> None:
    front = run(Front.bind(Back.bind()), route_prefix="/")
    await front.make()
    ((replica_id, pid),) = own_mesh.replicas("Front").items()
    async with httpx.AsyncClient(base_url=own_mesh.url, timeout=LIMIT_S) as client:
        with no_descriptors(pid) as process:
            waiting = asyncio.ensure_future(client.get("/?do=return"))  # the bridge has no session to it yet
            assert await cpu_share(process) < MOST_CPU
            assert await front.answer() == 0
            assert not waiting.done()
        assert (await waiting).status_code == 200
    assert own_mesh.replicas("Front") == {replica_id: pid}


async def test_controller_without_descriptors_serves_who_is_connected(own_mesh: RunningMesh, run: Run) -> None:
    run(Back.bind())
    controller = own_mesh.processes()["controller"]
    new = ControllerClient(str(own_mesh.run_directory), places.read_token(str(own_mesh.run_directory)))
    try:
        with no_descriptors(controller) as process:
            waiting = asyncio.ensure_future(new.status())
            assert await cpu_share(process) < MOST_CPU
            assert [application.name for application in mesh.status().applications] == ["default"]
            assert not waiting.done()
        async with asyncio.timeout(LIMIT_S):
            assert [application.name for application in (await waiting).applications] == ["default"]
    finally:
        await new.close()
    assert own_mesh.processes()["controller"] == controller


def test_engine_without_descriptors_says_so_and_starts_replicas_later(own_mesh: RunningMesh, run: Run) -> None:
    run(Back.bind())
    before = own_mesh.processes()
    with (
        no_descriptors(own_mesh.engine_pid),
        pytest.raises(DeployFailed, match=r"cannot start a process: .*Too many open"),
    ):
        run(Back.options(name="Other").bind(), name="other")
    run(Back.options(name="Other").bind(), name="other")
    assert before.items() <= own_mesh.processes().items(), "nothing ended"


async def _status(client: httpx.AsyncClient, url: str) -> int:
    try:
        return (await client.get(url)).status_code
    except httpx.TransportError:  # accepted and closed at once, for want of a descriptor
        return 0
