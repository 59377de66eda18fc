"""``kill -9`` of a random replica every second under load: what callers see of it, with and without repeating."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from time import monotonic

import httpx

import mesh
from mesh.loops import new_loop
from tests.e2e.running_mesh import RunningMesh, kill
from tests.soak.figure import Figure
from tests.soak.load import HttpFailed, SteadyLoad
from tests.soak.worker import Worker

SECONDS = 60
EVERY_S = 1.0
REPLICAS = 4
MOST_ONGOING = 8
HANDLE_CALLERS, HTTP_CALLERS = 12, 6


def main(seconds: float) -> Iterator[Figure]:
    """Calls that may be repeated first, then those that may not; so many seconds each."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    running = RunningMesh.of_this_process()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        for may_repeat in (True, False):
            told = "repeated" if may_repeat else "not repeated"
            node = Worker.options(
                num_replicas=REPLICAS, retry_on_death=may_repeat, max_ongoing_requests=MOST_ONGOING
            ).bind()
            worker = mesh.run(node, route_prefix="/")
            kills, by_handle, by_http = runner.run(_under_load(running, worker, seconds))
            yield Figure.at_least(f"{told}: replicas killed", kills, min(1, int(seconds / EVERY_S)))
            for name, load in (("by handle", by_handle), ("by HTTP", by_http)):
                yield Figure.shown(f"{told}, {name}: calls answered", load.answered)
                if may_repeat:
                    yield Figure.equal(f"{told}, {name}: calls failed{_first(load)}", load.failed, 0)
            if not may_repeat:
                yield from _of_the_dead(by_handle.errors + by_http.errors, kills)


async def _under_load(
    running: RunningMesh, worker: mesh.DeploymentHandle, seconds: float
) -> tuple[int, SteadyLoad, SteadyLoad]:
    """How many were killed, and the loads."""
    kills, draw = 0, random.Random(1)
    async with httpx.AsyncClient(base_url=running.url, timeout=90) as client:

        async def get(key: str) -> None:
            answer = await client.get("/", params={"key": key})
            if answer.status_code != 200:
                raise HttpFailed(f"{answer.status_code} {answer.text[:200]}")

        async with (
            SteadyLoad(worker.work, HANDLE_CALLERS) as by_handle,
            SteadyLoad(get, HTTP_CALLERS) as by_http,
        ):
            end_s = monotonic() + seconds
            while monotonic() < end_s:
                await asyncio.sleep(EVERY_S)
                replicas = await asyncio.to_thread(running.replicas)
                if replicas:
                    kill(draw.choice(sorted(replicas.values())))
                    kills += 1
    return kills, by_handle, by_http


def _of_the_dead(errors: Counter[str], kills: int) -> Iterator[Figure]:
    """Only calls that the dead had may fail, and of each no more than it may have at once."""
    of_each: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for message, number in errors.items():
        found = re.search(r"(Worker#\w+) ended while it worked on", message)
        if found is None:
            others[message] += number
        else:
            of_each[found[1]] += number
    yield Figure.shown("not repeated: calls failed with the replica that had them", of_each.total())
    yield Figure.at_most("not repeated: of one replica, at most", max(of_each.values(), default=0), MOST_ONGOING)
    yield Figure.at_most("not repeated: replicas that failed calls", len(of_each), kills)
    why = f" ({min(others)})" if others else ""
    yield Figure.equal(f"not repeated: calls failed otherwise{why}", others.total(), 0)


def _first(load: SteadyLoad) -> str:
    return f" ({min(load.errors)})" if load.errors else ""
