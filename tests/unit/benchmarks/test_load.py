"""A closed loop keeps so many calls going, and counts them."""

from __future__ import annotations

import asyncio
import threading

import pytest

from benchmarks.load import load_of, run_load, run_threads


def test_figures_of_so_many_calls() -> None:
    load = load_of([0.001 * n for n in range(100, 0, -1)], took_s=2.0)
    assert load.requests == 100
    assert load.figures == {
        "calls/s": 50.0,
        "p50 us": pytest.approx(51_000),
        "p99 us": pytest.approx(100_000),
    }


async def test_so_many_coroutines_call_at_a_time() -> None:
    ongoing, most = 0, 0

    async def call() -> None:
        nonlocal ongoing, most
        ongoing += 1
        most = max(most, ongoing)
        await asyncio.sleep(0)
        ongoing -= 1

    load = await run_load(call, concurrent=7, for_s=0.01)
    assert most == 7
    assert load.requests >= 7


def test_so_many_threads_call_at_a_time() -> None:
    together = threading.Barrier(5)
    load = run_threads(lambda: together.wait(10), threads=5, for_s=0.0)
    assert load.requests == 5
