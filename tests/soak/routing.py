"""One of four replicas is forty times slower: the p99 beside that of the same load on three fast ones alone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import mesh
from tests.services.paced import Calling, Paced, Seen, loaded
from tests.soak.figure import Figure

SECONDS = 120.0
SERVICE_S = 0.005
ROUNDS = 3
CALLERS = 8
_CASES = [(5, 1), (5, CALLERS), (1, 1), (1, CALLERS)]
THREE, FOUR = 0, 1


def main(seconds: float) -> Iterator[Figure]:
    """``seconds`` are shared among the cases; each is measured in rounds, the two sides in turn."""
    mesh.start(http_options=mesh.HTTPOptions("127.0.0.1", 0))
    round_s = seconds / len(_CASES) / (2 * ROUNDS + 2)
    for limit, callers in _CASES:
        with tempfile.TemporaryDirectory() as folder:
            slow = Path(folder) / "slow"
            slow.touch()
            yield from _case(limit, callers, slow, round_s)


def _case(limit: int, callers: int, slow: Path, round_s: float) -> Iterator[Figure]:
    paced = Paced.options(max_ongoing_requests=limit)
    three = paced.options(name="Three", num_replicas=3).bind(SERVICE_S, slow.with_name("never"))
    four = paced.options(name="Four", num_replicas=4).bind(SERVICE_S, slow)
    # A replica takes one load at a time, so that each call of `load` has a process of its own.
    caller = mesh.run(
        Calling.options(num_replicas=callers, max_ongoing_requests=1).bind(three, four), route_prefix=None
    )
    rate = 0.6 * 3 * limit / SERVICE_S

    def load(side: int, seconds: float) -> tuple[float, float]:
        seen = asyncio.run(_loaded(caller, callers, side, rate, seconds))
        return seen.p99_ms(), seen.share_of(0)

    load(THREE, round_s / 2), load(FOUR, round_s / 2)  # until it is known
    rounds = [(load(THREE, round_s), load(FOUR, round_s)) for _ in range(ROUNDS)]
    of = f"room for {limit}, {callers} caller{'s' * (callers > 1)}"
    yield Figure.shown(f"{of}: p99 of three, median", f"{median(r[0][0] for r in rounds):.1f} ms")
    yield Figure.shown(f"{of}: p99 of four, median", f"{median(r[1][0] for r in rounds):.1f} ms")
    ratio = median(four[0] / three[0] for three, four in rounds)
    yield Figure.at_most(f"{of}: p99 of four over that of three", ratio, 2.0, is_hard=False)
    yield Figure.at_most(f"{of}: share of the slow one, %", 100 * median(r[1][1] for r in rounds), 1.0)
    slow.unlink()
    load(FOUR, round_s)
    yield Figure.at_least(f"{of}: share of it when it has recovered, %", 100 * load(FOUR, round_s / 2)[1], 15.0)


async def _loaded(caller: mesh.DeploymentHandle, callers: int, side: int, rate: float, seconds: float) -> Seen:
    return await loaded(caller, callers, side, rate, seconds)


if __name__ == "__main__":
    from tests.soak.figure import line

    for figure in main(SECONDS):
        print(line(figure), flush=True)
