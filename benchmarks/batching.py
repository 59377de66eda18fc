"""A model that takes 10 ms however many inputs it gets, batched, beside the same model called once for each input.

As a plain method, which blocks its turn, and as a coroutine, which could overlap: there the baseline has a lock, since
what a batch stands for, one pass of an accelerator, cannot overlap either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import mesh
from benchmarks.deployments import deploy
from benchmarks.load import run_load
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, rows, times_at_least

BLOCKS_S = 0.010
CONCURRENT = 64
MAX_BATCH_SIZE = 32


@mesh.deployment(max_ongoing_requests=1000)
class Model:
    """Adds one, as slowly as a model would."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()

    def alone(self, number: int) -> int:
        time.sleep(BLOCKS_S)
        return number + 1

    @mesh.batch(max_batch_size=MAX_BATCH_SIZE, batch_wait_timeout_s=0.005)
    def together(self, numbers: list[int]) -> list[int]:
        time.sleep(BLOCKS_S)
        return [number + 1 for number in numbers]

    async def alone_on_loop(self, number: int) -> int:
        async with self._free:
            await asyncio.sleep(BLOCKS_S)
        return number + 1

    @mesh.batch(max_batch_size=MAX_BATCH_SIZE, batch_wait_timeout_s=0.005)
    async def together_on_loop(self, numbers: list[int]) -> list[int]:
        await asyncio.sleep(BLOCKS_S)
        return [number + 1 for number in numbers]


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    model = await deploy(Model.bind())
    for kind, batched, alone in (
        ("def", model.together, model.alone),
        ("async def", model.together_on_loop, model.alone_on_loop),
    ):
        if (answers := (await batched(1), await alone(1))) != (2, 2):
            raise RuntimeError(f"one added to 1 gave {answers}")
        rounds = await interleave(plan, _calls(batched), _calls(alone))
        what = f"{kind}, max_batch_size={MAX_BATCH_SIZE}, {CONCURRENT} at a time, beside no batches"
        for row in rows("batching", what, rounds, {"calls/s": times_at_least(20), "p50 us": None}):
            yield row


def _calls(call: Callable[[int], Awaitable[int]]) -> Side:
    async def side(for_s: float) -> Load:
        return await run_load(lambda: call(1), CONCURRENT, for_s)

    return side
