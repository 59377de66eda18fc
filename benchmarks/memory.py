"""The memory of a mesh: PSS of the whole tree with one replica, and what is private to each of 32 replicas.

PSS counts a page that N processes map as one N-th for each, so other Python processes on the machine make it a little
smaller. The script is the owner, a process that the user has anyway. Beside it: one process of bare Starlette.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import psutil

from benchmarks.answering import answering
from benchmarks.bare_starlette import bare_starlette, free_port
from benchmarks.rounds import Load, Plan, interleave
from benchmarks.row import Row, at_most, rows
from benchmarks.start_up import cached_bytecode

REPLICAS = 32
ROUNDS = 3
WITH_SCRIPT, WITHOUT_SCRIPT = "MB with script", "MB without"


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    plan = replace(plan, rounds=min(plan.rounds, ROUNDS))
    with cached_bytecode() as environment:

        async def one_replica(_: float) -> Load:
            return await asyncio.to_thread(_tree_pss, environment)

        async def many_replicas(_: float) -> Load:
            return await asyncio.to_thread(_largest_private, environment)

        async def bare(_: float) -> Load:
            return await asyncio.to_thread(_bare, environment)

        rounds = await interleave(plan, one_replica, bare)
        units = {WITH_SCRIPT: at_most(80), WITHOUT_SCRIPT: at_most(80)}
        for row in rows("memory", "PSS of the whole tree, one replica", rounds, units):
            yield row
        rounds = await interleave(plan, many_replicas, bare)
        for row in rows(
            "memory", f"Private_Dirty of a replica, the largest of {REPLICAS}", rounds, {"MB": at_most(10)}
        ):
            yield row


def _tree_pss(environment: dict[str, str]) -> Load:
    with answering(1, free_port(), environment) as (pid, _, answered):
        engine = psutil.Process(answered.engine_pid)
        without = sum(rollup_mb(p.pid, ["Pss"])["Pss"] for p in (engine, *engine.children(recursive=True)))
        return Load(0, {WITHOUT_SCRIPT: without, WITH_SCRIPT: without + rollup_mb(pid, ["Pss"])["Pss"]})


def _largest_private(environment: dict[str, str]) -> Load:
    with answering(REPLICAS, free_port(), environment) as (_, _, answered):
        private = [rollup_mb(pid, ["Private_Dirty"])["Private_Dirty"] for pid in answered.replica_pids]
    return Load(0, {"MB": max(private), "smallest MB": min(private)})


def _bare(environment: dict[str, str]) -> Load:
    with bare_starlette(environment) as (_, process):
        mb = rollup_mb(process.pid, ["Pss", "Private_Dirty"])
    return Load(0, {WITH_SCRIPT: mb["Pss"], WITHOUT_SCRIPT: mb["Pss"], "MB": mb["Private_Dirty"]})


def rollup_mb(pid: int, names: Iterable[str]) -> dict[str, float]:
    """Some lines of ``/proc/<pid>/smaps_rollup``, in units of 1024 * 1024 bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        words = [line.split() for line in file]
    kb = {line[0].removesuffix(":"): int(line[1]) for line in words[1:]}
    return {name: kb[name] / 1024 for name in names}
