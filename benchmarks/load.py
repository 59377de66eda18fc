"""A closed loop of calls: so many at a time, for so long, on the running loop."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple

import grpc.aio

from benchmarks.unary_server import METHOD

PAYLOAD = "x" * 100
TIMEOUT_S = 30.0

Call = Callable[[], Awaitable[Any]]


class Load(NamedTuple):
    """What a round did: calls a second, and latencies in microseconds."""

    calls_per_s: float
    p50_us: float
    p99_us: float


async def run_load(call: Call, concurrent: int, for_s: float) -> Load:
    """Keep ``concurrent`` calls going for ``for_s`` seconds."""
    latencies: list[float] = []
    begin = perf_counter()
    end = begin + for_s

    async def one() -> None:
        now = perf_counter()
        while now < end:
            await call()
            done = perf_counter()
            latencies.append(done - now)
            now = done

    await asyncio.gather(*(one() for _ in range(concurrent)))
    took_s = perf_counter() - begin
    latencies.sort()
    count = len(latencies)
    return Load(count / took_s, latencies[count // 2] * 1e6, latencies[int(count * 0.99)] * 1e6)


class UnaryClient:
    """Calls the baseline as a careful user of grpc.aio would: one channel, pickled arguments, a timeout."""

    def __init__(self, addresses: list[str]) -> None:
        self._channels = [grpc.aio.insecure_channel(address) for address in addresses]
        self._calls = [channel.unary_unary(METHOD) for channel in self._channels]
        self._next = 0

    async def call(self) -> Any:
        self._next = (self._next + 1) % len(self._calls)
        reply = await self._calls[self._next](pickle.dumps(((PAYLOAD,), {}), 5), timeout=TIMEOUT_S)
        return pickle.loads(reply)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close(None)
