"""One and a half times of what two replicas can do, and a caller that floods beside one that does not."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mesh
from tests.services.paced import Calling, Paced, Seen
from tests.soak.figure import Figure

SECONDS = 60.0
SERVICE_S = 0.05
LIMIT = 5
QUEUED = 50
CAPACITY = 2 * LIMIT / SERVICE_S
"""Calls a second."""


def main(seconds: float) -> Iterator[Figure]:
    """A fifth of ``seconds`` below capacity, two above, two with the flood."""
    mesh.start(http_options=mesh.HTTPOptions("127.0.0.1", 0))
    with tempfile.TemporaryDirectory() as folder:
        paced = Paced.options(num_replicas=2, max_ongoing_requests=LIMIT, max_queued_requests=QUEUED)
        first = mesh.run(Calling.bind(paced.bind(SERVICE_S, Path(folder) / "never")), name="first", route_prefix=None)
        handle = mesh.DeploymentHandle("first", "Paced")
        second = mesh.run(Calling.options(name="Second").bind(handle), name="second", route_prefix=None)
        yield from asyncio.run(_figures(first, second, seconds / 5))


async def _figures(first: mesh.DeploymentHandle, second: mesh.DeploymentHandle, part_s: float) -> list[Figure]:
    below: Seen = await first.load(0, 0.5 * CAPACITY, part_s)
    above: Seen = await first.load(0, 1.5 * CAPACITY, 2 * part_s)
    figures = [
        Figure.shown("at 0.5x of capacity: p99", f"{below.p99_ms():.0f} ms"),
        Figure.shown("at 1.5x: p99 of what was accepted", f"{above.p99_ms():.0f} ms"),
        # All that may be before a call, and as much again for a busy machine.
        Figure.at_most(
            "at 1.5x: that, of what a full queue takes",
            above.p99_ms() / 1000 / ((QUEUED + 2 * LIMIT) / CAPACITY),
            2.0,
            is_hard=False,
        ),
        Figure.at_least(
            "at 1.5x: answered, of capacity, %",
            100 * len(above.times_s) / (CAPACITY * 2 * part_s),
            85.0,
            is_hard=False,
        ),
        Figure.shown("at 1.5x: rejected, %", f"{100 * above.rejected / above.made:.0f}"),
    ]
    flood, modest = await asyncio.gather(
        first.load(0, 3 * CAPACITY, 2 * part_s), second.load(0, 0.3 * CAPACITY, 2 * part_s)
    )
    figures += [
        Figure.shown(
            "flood of 3x: answered, of capacity, %", f"{100 * len(flood.times_s) / (CAPACITY * 2 * part_s):.0f}"
        ),
        Figure.at_least("0.3x beside a flood of 3x: answered, %", 100 * len(modest.times_s) / modest.made, 95.0),
        Figure.shown("0.3x beside a flood of 3x: p99", f"{modest.p99_ms():.0f} ms"),
    ]
    equal = await asyncio.gather(*(one.load(0, CAPACITY, 2 * part_s) for one in (first, second)))
    shares = sorted(len(seen.times_s) for seen in equal)
    return [*figures, Figure.at_most("1x and 1x: the larger share over the smaller", shares[1] / shares[0], 1.3)]


if __name__ == "__main__":
    from tests.soak.figure import line

    for figure in main(SECONDS):
        print(line(figure), flush=True)
