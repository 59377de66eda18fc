"""Two load steps from nothing to what eight replicas are right for, and back; the controller dies in the second.

No request may fail, and each step may turn the size once: up, then down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

import httpx

import mesh
from mesh.loops import new_loop
from tests.e2e.commands import wait_until
from tests.e2e.running_mesh import RunningMesh, kill
from tests.e2e.sizes import Sizes
from tests.services.scaling import Elastic
from tests.soak.figure import Figure
from tests.soak.load import HttpFailed, SteadyLoad

SECONDS = 60
MOST = 8
HANDLE_CALLERS, HTTP_CALLERS = 48, 16
WORK_S = 0.25
"""Long beside what a call costs on a busy machine: as many requests are under way as there are callers."""


SCALED = Elastic.options(
    autoscaling_config=mesh.AutoscalingConfig(
        min_replicas=0,
        max_replicas=MOST,
        target_ongoing_requests=7.5,  # of 64 callers, some are always between two calls
        upscale_delay_s=1.0,
        downscale_delay_s=3.0,
        look_back_period_s=1.0,
        metrics_interval_s=0.2,
    ),
)


@dataclass
class Step:
    """What one load step has shown; ``sizes`` from before it until nothing is left."""

    sizes: Sizes
    loads: dict[str, SteadyLoad]
    first_s: float = 0.0
    grown_s: float = 0.0
    gone_s: float = 0.0


def main(seconds: float) -> Iterator[Figure]:
    """Half of the seconds for each step."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    running = RunningMesh.of_this_process()
    handle = mesh.run(SCALED.bind(), name="scaled", route_prefix="/scaled")
    for name, kills in (("first step", False), ("second step", True)):
        yield Figure.equal(f"{name}: replicas before", len(running.replicas()), 0)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            step = runner.run(_step(running, handle, seconds / 2, kills))
        yield Figure.shown(f"{name}: first answer", f"{step.first_s * 1000:.0f} ms")
        yield Figure.shown(f"{name}: until {MOST} replicas serve", f"{step.grown_s:.1f} s")
        yield Figure.shown(f"{name}: until none is left, after the load", f"{step.gone_s:.1f} s")
        for kind, load in step.loads.items():
            why = f" ({min(load.errors)})" if load.errors else ""
            yield Figure.shown(f"{name}: calls answered {kind}", load.answered)
            yield Figure.equal(f"{name}: calls failed {kind}{why}", load.failed, 0)
        yield Figure.equal(f"{name}: largest size", max(step.sizes.seen), MOST)
        yield Figure.at_most(f"{name}: turns of {step.sizes.seen}", step.sizes.turns, 1)


async def _step(running: RunningMesh, handle: mesh.DeploymentHandle, seconds: float, kills: bool) -> Step:
    async with httpx.AsyncClient(base_url=running.url, timeout=90) as client:

        async def get(key: str) -> None:
            answer = await client.get("/scaled", params={"key": key, "seconds": WORK_S})
            if answer.status_code != 200:
                raise HttpFailed(f"{answer.status_code} {answer.text[:200]}")

        async def call(key: str) -> None:
            await handle.work(key, WORK_S)

        loads = {"by handle": SteadyLoad(call, HANDLE_CALLERS), "by HTTP": SteadyLoad(get, HTTP_CALLERS)}
        with Sizes("Elastic") as sizes:
            step = Step(sizes, loads)
            begun_s = monotonic()
            await handle.work("first")
            step.first_s = monotonic() - begun_s
            async with loads["by handle"], loads["by HTTP"]:
                await asyncio.to_thread(wait_until, lambda: len(running.replicas()) == MOST)
                step.grown_s = monotonic() - begun_s
                if kills:
                    kill((await asyncio.to_thread(running.processes))["controller"])
                await asyncio.sleep(max(0.0, begun_s + seconds - monotonic()))
            ended_s = monotonic()
            await asyncio.to_thread(wait_until, lambda: not running.replicas())
            step.gone_s = monotonic() - ended_s
            await asyncio.to_thread(wait_until, lambda: sizes.seen[-1] == 0)
    return step
