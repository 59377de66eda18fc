"""How long it takes from nothing to an answer, bytecode cached.

From the exec of python to the first HTTP 200, beside Starlette under uvicorn alone; and until 8 and 32 replicas of a
trivial deployment have all answered a call by handle, from ``mesh.run`` on a mesh that has started, and from the exec
of python. The CPU time is that of the whole start. The processes keep their bytecode in a folder of their own, that the
round that is not counted fills.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter

from benchmarks.answering import answering
from benchmarks.bare_starlette import bare_starlette, free_port
from benchmarks.cpu import tree_cpu_s
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, Target, at_most, rows

ROUNDS = 10
CASES: tuple[tuple[int, dict[str, Target | None]], ...] = (
    (8, {"s from run": None, "s from exec": None}),
    (32, {"s from run": at_most(1.5), "s from exec": None}),
)


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    with cached_bytecode() as environment:
        many = replace(plan, rounds=plan.rounds if plan.is_quick else ROUNDS)
        rounds = await interleave(many, _first_200(environment), _first_200_bare(environment))
        for row in rows("start_up", "exec of python to the first HTTP 200", rounds, {"s": at_most(0.8)}):
            yield row
        for replicas, units in CASES:
            rounds = await interleave(plan, _all_answered(environment, replicas))
            for row in rows("start_up", f"{replicas} replicas, until all have answered", rounds, units):
                yield row


@contextmanager
def cached_bytecode() -> Iterator[dict[str, str]]:
    """An environment in which Python writes bytecode, whatever the present one says, to a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        yield environment


def _first_200(environment: Mapping[str, str]) -> Side:
    def start() -> Load:
        with answering(1, free_port(), environment) as (pid, begun_s, answered):
            return Load(1, {"s": answered.answered_s - begun_s}, tree_cpu_s(pid))

    return _in_thread(start)


def _first_200_bare(environment: Mapping[str, str]) -> Side:
    def start() -> Load:
        begun_s = perf_counter()
        with bare_starlette(environment) as (_, process):
            return Load(1, {"s": perf_counter() - begun_s}, tree_cpu_s(process.pid))

    return _in_thread(start)


def _all_answered(environment: Mapping[str, str], replicas: int) -> Side:
    def start() -> Load:
        with answering(replicas, free_port(), environment) as (pid, begun_s, answered):
            figures = {
                "s from run": answered.answered_s - answered.run_s,
                "s from exec": answered.answered_s - begun_s,
            }
            return Load(1, figures, tree_cpu_s(pid))

    return _in_thread(start)


def _in_thread(start: Callable[[], Load]) -> Side:
    async def side(_: float) -> Load:
        return await asyncio.to_thread(start)

    return side
