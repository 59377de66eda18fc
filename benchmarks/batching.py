"""A batched model beside the same model without batches, in turn in one run: it blocks 10 ms for every call of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from dataclasses import asdict, dataclass

import mesh
from benchmarks.load import Load, run_load

BLOCKS_S = 0.010
"""How long the model takes, for one input or for a batch of them."""
CONCURRENT = 64
MAX_BATCH_SIZE = 32


@mesh.deployment(max_ongoing_requests=1000)
class Model:
    """Adds one, as slowly as a model would: on its turn, blocking."""

    def alone(self, number: int) -> int:
        time.sleep(BLOCKS_S)
        return number + 1

    @mesh.batch(max_batch_size=MAX_BATCH_SIZE, batch_wait_timeout_s=0.005)
    def together(self, numbers: list[int]) -> list[int]:
        time.sleep(BLOCKS_S)
        return [number + 1 for number in numbers]

    @mesh.batch(max_batch_size=MAX_BATCH_SIZE, batch_wait_timeout_s=0.005)
    async def together_on_loop(self, numbers: list[int]) -> list[int]:
        await asyncio.sleep(BLOCKS_S)
        return [number + 1 for number in numbers]


@dataclass(frozen=True)
class Row:
    """One way to batch beside none: medians over the rounds, and the lowest and highest ratio of a round."""

    what: str
    calls_per_s: float
    unbatched_calls_per_s: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float
    p50_us: float


async def compare(what: str, handle: mesh.DeploymentHandle, rounds: int, for_s: float) -> Row:
    """``rounds`` rounds of each, in turn."""
    pairs: list[tuple[Load, Load]] = []
    batched = getattr(handle, what)
    for _ in range(rounds):
        mine = await run_load(lambda: batched(1), CONCURRENT, for_s)
        pairs.append((mine, await run_load(lambda: handle.alone(1), CONCURRENT, for_s)))
    ratios = [mine.calls_per_s / theirs.calls_per_s for mine, theirs in pairs]
    return Row(
        what=what,
        calls_per_s=statistics.median(mine.calls_per_s for mine, _ in pairs),
        unbatched_calls_per_s=statistics.median(theirs.calls_per_s for _, theirs in pairs),
        ratio=statistics.median(ratios),
        lowest_ratio=min(ratios),
        highest_ratio=max(ratios),
        p50_us=statistics.median(mine.p50_us for mine, _ in pairs),
    )


async def measure(handle: mesh.DeploymentHandle, rounds: int, for_s: float) -> list[Row]:
    """Both ways to batch."""
    return [await compare(what, handle, rounds, for_s) for what in ("together", "together_on_loop")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    parser.add_argument("--json", help="file for the figures as JSON")
    arguments = parser.parse_args()
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    handle = mesh.run(Model.bind())
    print(f"max_batch_size={MAX_BATCH_SIZE}, {CONCURRENT} concurrent, the model blocks {BLOCKS_S * 1000:g} ms")
    print(f"{'':20} {'calls/s':>9} {'unbatched':>10} {'ratio':>6} {'(spread)':>13} {'p50 us':>8}")
    rows = asyncio.run(measure(handle, arguments.rounds, arguments.seconds))
    for row in rows:
        print(
            f"{row.what:20} {row.calls_per_s:9,.0f} {row.unbatched_calls_per_s:10,.0f} {row.ratio:6.1f} "
            f"{row.lowest_ratio:6.1f}-{row.highest_ratio:<6.1f} {row.p50_us:8.0f}"
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([asdict(row) for row in rows], file, indent=1)
    mesh.shutdown()


if __name__ == "__main__":
    main()
