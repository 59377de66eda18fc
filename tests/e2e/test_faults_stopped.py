"""A replica that is there and answers nothing: it is found, reported, replaced; one that is only busy is not."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import mesh
from mesh.errors import ReplicaDied
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.stopping import Busy, Stopped

NOTICED_S = 20
"""Five seconds to the ping, five for its answer, ten without a line to the controller."""


async def test_stopped_replica_is_replaced_and_a_busy_one_is_kept(own_mesh: RunningMesh, run: Run) -> None:
    stopped, busy = run(Stopped.bind(), name="stopped"), run(Busy.bind(), name="busy")
    before, kept = await stopped.pid(), own_mesh.replicas("Busy")
    async with asyncio.timeout(LIMIT_S):
        holding = asyncio.ensure_future(busy.hold(NOTICED_S + 3))
        lost = asyncio.ensure_future(stopped.wait(before))
        repeated = asyncio.ensure_future(stopped.options(retry_on_death=True).wait(before))
        await stopped.pid()  # both calls before it have arrived
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(ReplicaDied, match="Stopped#"):
            await lost
        after = await repeated
        assert after != before
        assert not _runs(before)
        assert (await holding) in kept.values()
    assert own_mesh.replicas("Busy") == kept
    (deployment,) = next(one for one in mesh.status().applications if one.name == "stopped").deployments
    assert deployment.restarts == 1
    assert "without connection to the controller" in deployment.message


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
