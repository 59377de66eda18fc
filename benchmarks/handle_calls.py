"""Calls by handle beside plain grpc.aio unary with the same pickled payload, a string of 100 characters.

Over N replicas the baseline has N servers, asked in turn. The script's loop is of the same kind for both, and so is
the replica that calls from inside; plain threads are compared with gRPC's synchronous client.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import mesh
from benchmarks.deployments import Caller, Echo, deploy
from benchmarks.load import PAYLOAD, run_load, run_threads
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, Target, rows, times_at_least, times_at_most
from benchmarks.unary import ThreadClient, UnaryClient, unary_servers

METHODS = {"async def": "echo", "def": "plain"}
SOURCES = ("a script's loop", "a replica", "threads")
CONCURRENT = (1, 16, 256)
REPLICAS = (1, 4, 16)


class Case(NamedTuple):
    """One comparison."""

    replicas: int
    source: str
    kind: str
    concurrent: int

    def __str__(self) -> str:
        over = f"{self.replicas} replica{'s' if self.replicas > 1 else ''}"
        return f"{self.kind}, {self.concurrent} at a time, {over}, from {self.source}"

    def units(self) -> dict[str, Target | None]:
        """What the rows show, with the targets that the design has."""
        if self.concurrent == 1:
            is_bound = self.replicas == 1 and self.kind == "async def"
            return {"p50 us": times_at_most(0.6) if is_bound else None}
        bounds = {(1, "async def"): 8, (1, "def"): 5, (4, "async def"): 5, (16, "async def"): 4}
        bound = bounds.get((self.replicas, self.kind)) if self.concurrent == 256 else None
        return {"calls/s": times_at_least(bound) if bound and self.source != "threads" else None}


def cases(plan: Plan) -> Iterator[Case]:
    """Every combination, or those that show something of their own."""
    for replicas in REPLICAS:
        for source in SOURCES:
            for kind in METHODS:
                for concurrent in CONCURRENT:
                    case = Case(replicas, source, kind, concurrent)
                    if plan.is_full or _shows_something(case):
                        yield case


def _shows_something(case: Case) -> bool:
    if case.source == "threads":
        return case.replicas == 1 and case.kind == "async def" and case.concurrent < 256
    if case.replicas == 1:
        return case.source == SOURCES[0] or case.kind == "async def" or case.concurrent == 256
    return case.concurrent == 256 and (case.kind == "async def" or case.source == SOURCES[0])


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    for replicas in REPLICAS:
        caller = await deploy(Caller.bind(Echo.options(num_replicas=replicas).bind()))
        with unary_servers(replicas) as addresses:
            unary, threads = UnaryClient(addresses), ThreadClient(addresses)
            for case in cases(plan):
                if case.replicas == replicas:
                    ours, baseline = _sides(case, caller, addresses, unary, threads)
                    for row in rows("handle_calls", str(case), await interleave(plan, ours, baseline), case.units()):
                        yield row
            await unary.close()
            threads.close()


def _sides(
    case: Case, caller: mesh.DeploymentHandle, addresses: list[str], unary: UnaryClient, threads: ThreadClient
) -> tuple[Side, Side]:
    method, concurrent = METHODS[case.kind], case.concurrent
    handle = getattr(mesh.DeploymentHandle("default", "Echo"), method)

    async def from_script(for_s: float) -> Load:
        return await run_load(lambda: handle(PAYLOAD), concurrent, for_s)

    async def unary_from_script(for_s: float) -> Load:
        return await run_load(unary.call, concurrent, for_s)

    async def from_replica(for_s: float) -> Load:
        return await caller.mesh_load(method, concurrent, for_s)

    async def unary_from_replica(for_s: float) -> Load:
        return await caller.unary_load(addresses, concurrent, for_s)

    async def from_threads(for_s: float) -> Load:
        return await asyncio.to_thread(run_threads, lambda: handle.remote(PAYLOAD).result(), concurrent, for_s)

    async def unary_from_threads(for_s: float) -> Load:
        return await asyncio.to_thread(run_threads, threads.call, concurrent, for_s)

    sides: dict[str, tuple[Side, Side]] = {
        "a script's loop": (from_script, unary_from_script),
        "a replica": (from_replica, unary_from_replica),
        "threads": (from_threads, unary_from_threads),
    }
    return sides[case.source]
