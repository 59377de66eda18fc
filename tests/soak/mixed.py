"""Ten minutes of everything: calls, streams, arrays, HTTP, WebSockets, calls that are given up, updates.

Ten times the load is stopped, and what every process holds is counted; over the second half nothing may have grown.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import fmean, median
from time import monotonic

import httpx
import numpy as np

import mesh
from mesh.loops import new_loop
from tests.e2e.giving_up import GivingUp
from tests.e2e.running_mesh import RunningMesh
from tests.services.patience import Back, Front
from tests.soak.figure import Figure
from tests.soak.holdings import Holding, holdings
from tests.soak.load import HttpFailed, SteadyLoad
from tests.soak.worker import Worker

SECONDS = 600
STOPS = 10
REPLICAS = 3
MOST_GROWTH_MB = 1.0
ARRAY = np.ones(1_500_000, np.uint8)

Held = dict[str, list[Holding]]


def main(seconds: float) -> Iterator[Figure]:
    """Load for that long, then what had grown since half of it."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    running = RunningMesh.of_this_process()
    front = mesh.run(
        Front.options(num_replicas=REPLICAS).bind(Back.options(num_replicas=REPLICAS).bind()), route_prefix="/"
    )
    updated = mesh.run(Worker.bind(version=0), name="updated", route_prefix="/updated")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        samples, loads = runner.run(_rounds(running, front, updated, seconds))
    for name, load in loads.items():
        why = f" ({min(load.errors)})" if load.errors else ""
        yield Figure.shown(f"{name}: calls answered", load.answered)
        yield Figure.equal(f"{name}: calls failed{why}", load.failed, 0)
    half = samples[STOPS // 2 :]
    for kind in half[0][1]:
        yield from _growth(kind, [(at_s, held[kind]) for at_s, held in half], is_hard=seconds >= SECONDS)


async def _rounds(
    running: RunningMesh, front: mesh.DeploymentHandle, updated: mesh.DeploymentHandle, seconds: float
) -> tuple[list[tuple[float, Held]], dict[str, SteadyLoad]]:
    """What was held at each stop, and the loads between them."""
    back = mesh.get_deployment("Back").get_handle()
    callers = GivingUp(front, back, running.url)
    samples: list[tuple[float, Held]] = []
    begun_s = monotonic()
    async with httpx.AsyncClient(base_url=running.url, timeout=90) as client:
        loads = _loads(front, back, updated, client)
        for stop in range(STOPS + 1):
            if stop:
                await _one_round(callers, loads, stop, seconds / STOPS)
            gc.collect()
            samples.append((monotonic() - begun_s, await holdings(running, {"Front": front, "Back": back})))
    return samples, loads


def _loads(
    front: mesh.DeploymentHandle,
    back: mesh.DeploymentHandle,
    updated: mesh.DeploymentHandle,
    client: httpx.AsyncClient,
) -> dict[str, SteadyLoad]:
    """What is waited for to its end, beside all that is given up."""

    async def get(key: str) -> None:
        answer = await client.get("/updated", params={"key": key})
        if answer.status_code != 200:
            raise HttpFailed(f"{answer.status_code} {answer.text[:200]}")

    async def read(key: str) -> None:
        number = 0
        async for _ in back.count_to.remote(100):
            number += 1
        if number != 100:
            raise AssertionError(f"a stream of 100 items ended after {number}")

    async def look(key: str) -> None:
        array = await front.look(ARRAY)
        if array.nbytes != ARRAY.nbytes:
            raise AssertionError(f"{array.nbytes} bytes came back of {ARRAY.nbytes}")

    return {
        "calls": SteadyLoad(updated.work, 4),
        "batches": SteadyLoad(lambda key: back.gathered(1), 4),
        "streams": SteadyLoad(read, 1),
        "arrays": SteadyLoad(look, 1),
        "HTTP": SteadyLoad(get, 2),
    }


async def _one_round(callers: GivingUp, loads: dict[str, SteadyLoad], number: int, seconds: float) -> None:
    """All loads at once, an update half way."""
    end_s = monotonic() + seconds
    async with _all(loads):
        await callers.until(monotonic() + seconds / 2, 4, seed=2 * number)
        await asyncio.to_thread(mesh.run, Worker.bind(version=number), name="updated", route_prefix="/updated")
        await callers.until(end_s, 4, seed=2 * number + 1)


@asynccontextmanager
async def _all(loads: dict[str, SteadyLoad]) -> AsyncIterator[None]:
    calls, batches, streams, arrays, http = loads.values()
    async with calls, batches, streams, arrays, http:
        yield


def _growth(kind: str, samples: list[tuple[float, list[Holding]]], *, is_hard: bool) -> Iterator[Figure]:
    """Of one kind of process, between the first and the last sample; the median where there are several.

    Hard only after the whole time: caches and pools fill in the first minutes.
    """
    memory = [(at_s, median(one.memory_mb for one in held)) for at_s, held in samples]
    yield Figure.shown(f"{kind}: memory at each stop, MB", " ".join(f"{mb:.2f}" for _, mb in memory))
    yield Figure.shown(f"{kind}: slope", f"{60 * _slope(memory):+.3f} MB/min")
    yield Figure.at_most(
        f"{kind}: memory has grown by", memory[-1][1] - memory[0][1], MOST_GROWTH_MB, "MB", is_hard=is_hard
    )
    for what in samples[0][1][0].counts:
        *before, last = [max(one.counts[what] for one in held) for _, held in samples]
        yield Figure.at_most(f"{kind}: {what}", last, max(before), is_hard=is_hard)


def _slope(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    middle_x, middle_y = fmean(x for x, _ in points), fmean(y for _, y in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points)
