"""Closed loops of calls: so many at a time, for so long, on the running loop or from threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from benchmarks.rounds import Load

PAYLOAD = "x" * 100
TIMEOUT_S = 30.0
"""Of every call of a baseline: calls of mesh have a deadline, too."""


async def run_load(call: Callable[[], Awaitable[Any]], concurrent: int, for_s: float) -> Load:
    """Keep ``concurrent`` calls going for ``for_s`` seconds, one each at least; calls a second and latencies."""
    latencies: list[float] = []
    begin = perf_counter()
    end = begin + for_s

    async def one() -> None:
        now = perf_counter()
        while True:
            await call()
            done = perf_counter()
            latencies.append(done - now)
            if done >= end:
                return
            now = done

    await asyncio.gather(*(one() for _ in range(concurrent)))
    return load_of(latencies, perf_counter() - begin)


def run_threads(call: Callable[[], Any], threads: int, for_s: float) -> Load:
    """The same from so many threads, each of which waits for its call."""
    begin = perf_counter()
    end = begin + for_s

    def one() -> list[float]:
        latencies = []
        now = perf_counter()
        while True:
            call()
            done = perf_counter()
            latencies.append(done - now)
            if done >= end:
                return latencies
            now = done

    with ThreadPoolExecutor(threads) as pool:
        every = [pool.submit(one) for _ in range(threads)]
        latencies = [latency for future in every for latency in future.result()]
    return load_of(latencies, perf_counter() - begin)


def load_of(latencies_s: Sequence[float], took_s: float) -> Load:
    """The figures of so many calls in ``took_s`` seconds."""
    ordered = sorted(latencies_s)
    count = len(ordered)
    return Load(
        requests=count,
        figures={
            "calls/s": count / took_s,
            "p50 us": ordered[count // 2] * 1e6,
            "p99 us": ordered[int(count * 0.99)] * 1e6,
        },
    )
