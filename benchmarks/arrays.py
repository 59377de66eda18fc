"""Arrays of 1, 10 and 100 MB to a method that sums them, one after the other, beside pickled unary.

And how long small calls to the same replica take while 100 MB go to it without a pause: calls from the same script, and
from another process. The small calls are to an ``async def`` method; to a ``def`` method they would wait for the sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np

import mesh
from benchmarks.deployments import Caller, deploy
from benchmarks.load import PAYLOAD, run_load
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, at_most, rows, times_at_least
from benchmarks.unary import UnaryClient, unary_servers
from benchmarks.unary_server import SUM

SIZES_MB = (1, 10, 100)
LARGEST_S = 5.0
"""How long 100 MB go back to back in one round."""


@mesh.deployment(max_ongoing_requests=1000)
class Arrays:
    """Sums arrays on its turn, and echoes on its loop meanwhile."""

    def total(self, array: Any) -> float:
        return float(array.sum())

    async def echo(self, value: object) -> object:
        return value


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    caller = await deploy(Caller.bind(Arrays.bind()))
    arrays = mesh.DeploymentHandle("default", "Arrays")
    with unary_servers(1) as addresses:
        summing, small = UnaryClient(addresses, SUM), UnaryClient(addresses)
        for size_mb in SIZES_MB:
            array = np.ones(size_mb * 1024 * 1024 // 8)
            ours, baseline = _back_to_back(arrays.total, array), _back_to_back(summing.call, array)
            round_s = LARGEST_S if size_mb == 100 and not plan.is_quick else plan.round_s
            rounds = await interleave(plan, ours, baseline, round_s)
            target = times_at_least(8) if size_mb == 100 else None
            for row in rows(
                "arrays", f"sum of {size_mb} MB, back to back", rounds, {"calls/s": target, "p50 us": None}
            ):
                yield row

        async def from_script(for_s: float) -> Load:
            return await run_load(lambda: arrays.echo(PAYLOAD), 1, for_s)

        async def unary_from_script(for_s: float) -> Load:
            return await run_load(small.call, 1, for_s)

        async def from_replica(for_s: float) -> Load:
            return await caller.mesh_load("echo", 1, for_s)

        async def unary_from_replica(for_s: float) -> Load:
            return await caller.unary_load(addresses, 1, for_s)

        cases: tuple[tuple[str, Side, Side], ...] = (
            ("the same caller", from_script, unary_from_script),
            ("another process", from_replica, unary_from_replica),
        )
        for source, mine, theirs in cases:
            sides = _meanwhile(ours, mine), _meanwhile(baseline, theirs)
            rounds = await interleave(plan, *sides, plan.round_s if plan.is_quick else LARGEST_S)
            what = f"small calls beside 100 MB, from {source}"
            for row in rows("arrays", what, rounds, {"p99 ms": at_most(10), "p50 ms": None}):
                yield row
        await summing.close()
        await small.close()


def _back_to_back(call: Callable[[Any], Awaitable[Any]], array: Any) -> Side:
    async def checked() -> None:
        if await call(array) != len(array):
            raise RuntimeError("the sum of an array of ones is not its length")

    async def side(for_s: float) -> Load:
        return await run_load(checked, 1, for_s)

    return side


def _meanwhile(large: Side, small: Side) -> Side:
    """The latencies of ``small`` while ``large`` runs."""

    async def side(for_s: float) -> Load:
        _, load = await asyncio.gather(large(for_s), small(for_s))
        return Load(0, {f"{p} ms": load.figures[f"{p} us"] / 1000 for p in ("p50", "p99")})

    return side
