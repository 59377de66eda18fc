"""Three deployments one after the other, each of which adds one.

As a graph, where the driver calls one after the other and hands on what comes back unread: over HTTP beside bare
Starlette doing nothing, and by handle beside three unary servers of which each asks the next. And as nested calls by
handle, where each deployment calls the next, beside the same servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request

import mesh
from benchmarks import wrk
from benchmarks.bare_starlette import bare_starlette
from benchmarks.deployments import deploy, url
from benchmarks.http_requests import ROUND_S
from benchmarks.load import run_load
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, Target, rows, rows_not_run, times_at_least
from benchmarks.unary import UnaryClient, unary_chain
from benchmarks.unary_server import CHAIN
from mesh.dag import InputNode
from mesh.dag.nodes import DeploymentNode
from mesh.drivers import DAGDriver

CONCURRENT = 32


@mesh.deployment(max_ongoing_requests=1000)
class Add:
    """One step of the graph."""

    async def add(self, value: int) -> int:
        return value + 1


@mesh.deployment(max_ongoing_requests=1000)
class Link:
    """Adds one and has the next add one."""

    def __init__(self, following: mesh.DeploymentHandle | None) -> None:
        self._following = following

    async def add(self, value: int) -> int:
        value += 1
        return value if self._following is None else await self._following.add(value)


def number(request: Request) -> int:
    """The adapter of the graph."""
    return int(request.query_params["n"])


def graph() -> DeploymentNode:
    """The driver of three steps."""
    with InputNode() as value:
        for name in ("First", "Second", "Third"):
            value = Add.options(name=name).bind().add.bind(value)
    return DAGDriver.options(max_ongoing_requests=1000).bind(value, http_adapter=number)


def nested() -> DeploymentNode:
    """The first of three that call each other."""
    last = Link.options(name="Last").bind(None)
    return Link.options(name="Outer").bind(Link.options(name="Middle").bind(last))


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    driver = await deploy(graph())
    async for row in _over_http(plan):
        yield row
    outer = await deploy(nested(), name="nested", route_prefix=None)
    cases: tuple[tuple[str, mesh.DeploymentHandle, Target | None], ...] = (
        ("graph by handle", driver.predict, times_at_least(3)),
        ("nested calls by handle", outer.add, None),
    )
    with unary_chain(3) as address:
        client = UnaryClient([address], CHAIN)
        for concurrent in (CONCURRENT, 1):
            for what, handle, target in cases:
                await _check(handle, client)
                rounds = await interleave(plan, _calls(handle, concurrent), _calls(client.call, concurrent))
                units = {"calls/s": target} if concurrent > 1 else {"p50 us": None}
                for row in rows("chain", f"{what}, {concurrent} at a time", rounds, units):
                    yield row
        await client.close()


async def _over_http(plan: Plan) -> AsyncIterator[Row]:
    what = f"graph over HTTP, {CONCURRENT} connections"
    units: dict[str, Target | None] = {"requests/s": times_at_least(0.25), "p50 ms": None}
    if not wrk.is_installed():
        for row in rows_not_run("chain", what, wrk.MISSING, units):
            yield row
        return
    with bare_starlette() as (bare_url, _):
        rounds = await interleave(
            plan,
            wrk.requests_to(f"{url()}/?n=1", CONCURRENT),
            wrk.requests_to(f"{bare_url}/?name=1", CONCURRENT),
            plan.round_s if plan.is_quick else ROUND_S,
        )
    for row in rows("chain", what, rounds, units):
        yield row


def _calls(call: Callable[[int], Awaitable[Any]], concurrent: int) -> Side:
    async def side(for_s: float) -> Load:
        return await run_load(lambda: call(1), concurrent, for_s)

    return side


async def _check(handle: mesh.DeploymentHandle, client: UnaryClient) -> None:
    """Both sides do the same work."""
    answers = await handle(1), await client.call(1)
    if answers != (4, 4):
        raise RuntimeError(f"three times one added to 1 gave {answers}")
