"""Ten thousand worlds that break, and one for each moment at which the controller may die: see :mod:`world`.

They are run by as many processes as there are CPUs, a hundred seeds a test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.unit.controller.world import live_all, live_with_every_death

SEEDS = 10_000
BATCH = 100
FIRSTS = range(0, SEEDS, BATCH)
DYING_SEEDS = range(8)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Future[None]]]:
    """The tests by their names, begun all at once."""
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        begun = {f"from-{first}": pool.submit(live_all, range(first, first + BATCH)) for first in FIRSTS}
        begun |= {f"dying-{seed}": pool.submit(live_with_every_death, seed) for seed in DYING_SEEDS}
        yield begun
        for outcome in begun.values():
            outcome.cancel()


@pytest.mark.parametrize("first", FIRSTS, ids=lambda first: f"seeds-{first}-to-{first + BATCH - 1}")
def test_the_world_becomes_what_is_wished_for_once_the_faults_have_ended(
    first: int, outcomes: dict[str, Future[None]]
) -> None:
    outcomes[f"from-{first}"].result()


@pytest.mark.parametrize("seed", DYING_SEEDS, ids=lambda seed: f"seed-{seed}")
def test_it_does_so_wherever_the_controller_has_died(seed: int, outcomes: dict[str, Future[None]]) -> None:
    outcomes[f"dying-{seed}"].result()
