"""``kill -9`` of the controller every two seconds under load, and a deploy in between: nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic

import httpx

import mesh
from mesh.loops import new_loop
from tests.e2e.commands import wait_until
from tests.e2e.running_mesh import RunningMesh, kill
from tests.soak.figure import Figure
from tests.soak.load import HttpFailed, SteadyLoad
from tests.soak.worker import Worker

SECONDS = 60
EVERY_S = 2.0
HANDLE_CALLERS, HTTP_CALLERS = 12, 6


def main(seconds: float) -> Iterator[Figure]:
    """One application that stays as it is, one that is deployed anew half way."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    running = RunningMesh.of_this_process()
    kept = mesh.run(Worker.options(name="Kept", num_replicas=2).bind(), name="kept", route_prefix="/kept")
    changed = mesh.run(Worker.options(name="Changed", num_replicas=2).bind(), name="changed", route_prefix="/changed")
    before = running.replicas("Kept")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        kills, loads, updated = runner.run(_under_load(running, kept, changed, seconds))
    yield Figure.at_least("controllers killed", kills, 1)
    for name, load in loads.items():
        why = f" ({min(load.errors)})" if load.errors else ""
        yield Figure.shown(f"{name}: calls answered", load.answered)
        yield Figure.equal(f"{name}: calls failed{why}", load.failed, 0)
    version, new = updated
    yield Figure.equal("version that answers after the deploy", version, 2)
    phases = {application.name: application.phase.name for application in mesh.status().applications}
    yield Figure.equal("phase of the application that was deployed", phases["changed"], "RUNNING")
    yield Figure.equal("replicas of the other that are the same processes", running.replicas("Kept") == before, True)
    yield Figure.equal("new replicas that are still the same processes", running.replicas("Changed") == new, True)


async def _under_load(
    running: RunningMesh, kept: mesh.DeploymentHandle, changed: mesh.DeploymentHandle, seconds: float
) -> tuple[int, dict[str, SteadyLoad], tuple[int, dict[str, int]]]:
    async with httpx.AsyncClient(base_url=running.url, timeout=90) as client:

        async def get(key: str) -> None:
            path = "/kept" if int(key) % 2 else "/changed"
            answer = await client.get(path, params={"key": key})
            if answer.status_code != 200:
                raise HttpFailed(f"{answer.status_code} {answer.text[:200]}")

        loads = {
            "by handle": SteadyLoad(kept.work, HANDLE_CALLERS),
            "by handle, of what is deployed": SteadyLoad(changed.work, HANDLE_CALLERS),
            "by HTTP": SteadyLoad(get, HTTP_CALLERS),
        }
        async with loads["by handle"], loads["by handle, of what is deployed"], loads["by HTTP"]:
            begun_s = monotonic()
            killing = asyncio.create_task(_kill_again_and_again(running, begun_s + seconds))
            await asyncio.sleep(seconds / 3)
            await asyncio.to_thread(_deploy)
            new = await asyncio.to_thread(_only_new, running)
            kills = await killing
            version, _ = await changed.work("after")
    return kills, loads, (version, new)


async def _kill_again_and_again(running: RunningMesh, end_s: float) -> int:
    kills = 0
    while monotonic() < end_s:
        await asyncio.sleep(EVERY_S)
        controller = (await asyncio.to_thread(running.processes)).get("controller")
        if controller is not None:
            kill(controller)
            kills += 1
    return kills


def _deploy() -> None:
    node = Worker.options(name="Changed", num_replicas=2).bind(version=2)
    mesh.run(node, name="changed", route_prefix="/changed")


def _only_new(running: RunningMesh) -> dict[str, int]:
    """The new replicas, once the old ones have drained."""
    wait_until(lambda: len(running.replicas("Changed")) == 2)
    return running.replicas("Changed")
