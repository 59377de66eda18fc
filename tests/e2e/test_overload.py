"""A slow replica is shunned, and more load than there is room for does no more harm than it must."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import mesh
from tests.e2e.commands import LIMIT_S, wait_until
from tests.e2e.running_mesh import Run
from tests.services.paced import Calling, Paced, Seen, loaded

SERVICE_S = 0.05
"""Long beside what a busy machine adds."""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """While this file exists, one replica is slow."""
    return tmp_path / "slow"


@pytest.mark.parametrize(
    ("limit", "callers", "service_s"),
    [pytest.param(5, 1, 0.05, id="room for 5, 1 caller"), pytest.param(1, 3, 0.02, id="room for 1, 3 callers")],
)
def test_slow_replica_is_shunned_and_used_again_when_it_has_recovered(
    run: Run, slow: Path, limit: int, callers: int, service_s: float
) -> None:
    slow.touch()
    paced = Paced.options(num_replicas=4, max_ongoing_requests=limit).bind(service_s, slow)
    caller = run(Calling.options(num_replicas=callers, max_ongoing_requests=1).bind(paced))
    rate = 0.5 * 3 * limit / service_s

    def share_of_it(calls: int) -> float:
        return asyncio.run(loaded(caller, callers, 0, rate, calls / rate)).share_of(0)

    share_of_it(120)  # until it is known
    assert share_of_it(300) < 0.05, "of four that are alike it would be 0.25"
    slow.unlink()
    wait_until(lambda: share_of_it(150) > 0.12)


async def test_modest_caller_is_served_beside_one_that_floods(run: Run, slow: Path) -> None:
    paced = Paced.options(num_replicas=2, max_queued_requests=50).bind(SERVICE_S, slow)
    flood = run(Calling.bind(paced), name="flood")
    modest = run(Calling.options(name="Modest").bind(mesh.DeploymentHandle("flood", "Paced")), name="modest")
    capacity = 2 * 5 / SERVICE_S
    async with asyncio.timeout(LIMIT_S):
        flooding = asyncio.gather(*(flood.load(0, capacity, 4) for _ in range(4)))
        await modest.load(0, 0.3 * capacity, 0.5)
        seen: Seen = await modest.load(0, 0.3 * capacity, 2)
        of_the_flood = Seen.together(await flooding)
    assert of_the_flood.rejected > len(of_the_flood.times_s), "it is a flood"
    assert seen.rejected <= 0.1 * seen.made


async def test_what_is_too_much_is_rejected_and_the_rest_is_answered(run: Run, slow: Path) -> None:
    paced = Paced.options(num_replicas=2, max_queued_requests=10).bind(SERVICE_S, slow)
    caller = run(Calling.bind(paced))
    async with asyncio.timeout(LIMIT_S):
        await caller.load(0, 100, 0.2)
        seen: Seen = await caller.load(0, 2 * 2 * 5 / SERVICE_S, 2)
    assert seen.rejected > 0.2 * seen.made
    assert len(seen.times_s) > 0.2 * seen.made
