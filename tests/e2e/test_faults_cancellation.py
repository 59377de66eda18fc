"""What is left of calls that were given up: nothing, however many, of whatever kind, over however many hops."""

from __future__ import annotations

import asyncio

import numpy as np
import psutil

import mesh
from mesh import connect
from tests.e2e.commands import LIMIT_S
from tests.e2e.giving_up import GivingUp
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.patience import LARGE_BYTES, SLOTS, Back, Front, census

GIVEN_UP = 10_000
AT_A_TIME = 40

Held = dict[str, dict[str, int]]
"""What each process holds, by its name."""


async def test_ten_thousand_cancelled_calls_leave_nothing(own_mesh: RunningMesh, run: Run) -> None:
    front = run(Front.bind(Back.bind()), route_prefix="/")
    back = mesh.get_deployment("Back").get_handle()
    callers = GivingUp(front, back, own_mesh.url)
    # What exists once, and as many threads of turns as are ever wanted, before the count begins.
    await asyncio.gather(*(front.meet_on_turn() for _ in range(SLOTS)))
    await front.look(np.ones(LARGE_BYTES, np.uint8))
    await callers.many(1000, AT_A_TIME, seed=0)
    before = await _at_rest(own_mesh, front, back)
    await callers.many(GIVEN_UP, AT_A_TIME, seed=1)
    assert set(callers.given_up) == set(callers.kinds), "every kind was drawn"
    async with asyncio.timeout(LIMIT_S):
        while more := _more(before, after := await _at_rest(own_mesh, front, back)):
            print(f"still on its way out: {more}")  # every look makes SLOTS calls of each replica
    assert after.keys() == {"client", "front", "back", "bridge"}


def _more(before: Held, after: Held) -> dict[str, tuple[int, int]]:
    """Of what there is more than before, and not nothing."""
    return {
        f"{process}: {what}": (before[process][what], number)
        for process, held in after.items()
        for what, number in held.items()
        if number > (0 if what in ("lent bytes", "mapped segments") else before[process][what])
    }


async def _at_rest(own_mesh: RunningMesh, *handles: mesh.DeploymentHandle) -> Held:
    """What each process holds while all slots of both replicas can be taken at once, so none is lost."""
    async with asyncio.timeout(LIMIT_S):
        for handle in handles:
            await asyncio.gather(*(handle.meet() for _ in range(SLOTS)))
    connection = connect.default()
    assert connection is not None
    assert connection.loop_thread is not None
    found = {"client": await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_census(), connection.loop))}
    found["front"], found["back"] = [await handle.census() for handle in handles]
    bridge = psutil.Process(own_mesh.processes()["bridge"])
    found["bridge"] = {"threads": bridge.num_threads(), "descriptors": bridge.num_fds()}
    return found


async def _census() -> dict[str, int]:
    return census()
