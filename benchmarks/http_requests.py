"""An HTTP request through the bridge to a replica that does next to nothing, beside bare Starlette in one process.

Both read one query parameter and answer with a line of text. wrk is the client of both; its CPU time is counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

import mesh
from benchmarks import wrk
from benchmarks.bare_starlette import bare_starlette
from benchmarks.deployments import deploy, url
from benchmarks.rounds import Plan, interleave
from benchmarks.row import Row, Target, more_at_most, rows, rows_not_run, times_at_least

CASES: tuple[tuple[int, int, dict[str, Target | None]], ...] = (
    (1, 1, {"p50 ms": more_at_most(0.3), "requests/s": None}),
    (1, 8, {"requests/s": None, "p50 ms": None}),
    (1, 64, {"requests/s": times_at_least(0.7), "p50 ms": None}),
    (4, 64, {"requests/s": times_at_least(0.6), "p50 ms": None}),
)
"""Replicas, connections, and what the rows show."""
ROUND_S = 2.0


@mesh.deployment(max_ongoing_requests=1000)
class Hello:
    """What bare Starlette does."""

    async def __call__(self, request: Request) -> str:
        return "hello " + request.query_params.get("name", "stranger")


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    if not wrk.is_installed():
        for replicas, connections, units in CASES:
            for row in rows_not_run("http_requests", _what(replicas, connections), wrk.MISSING, units):
                yield row
        return
    with bare_starlette() as (bare_url, _):
        for replicas, connections, units in CASES:
            await deploy(Hello.options(num_replicas=replicas).bind())
            rounds = await interleave(
                plan,
                wrk.requests_to(f"{url()}/?name=a", connections),
                wrk.requests_to(f"{bare_url}/?name=a", connections),
                plan.round_s if plan.is_quick else ROUND_S,
            )
            for row in rows("http_requests", _what(replicas, connections), rounds, units):
                yield row


def _what(replicas: int, connections: int) -> str:
    return (
        f"no-op, {connections} connection{'s' if connections > 1 else ''}, "
        f"{replicas} replica{'s' if replicas > 1 else ''}"
    )
