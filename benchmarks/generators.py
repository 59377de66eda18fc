"""Generators by handle beside grpc.aio server streaming of the same pickled items.

Also how long after its ``yield`` the first item is read, when the generator computes on and never waits. That row has
no baseline: a coroutine of gRPC's that computes holds the loop that is to send its item.
"""

from __future__ import annotations

import asyncio
import pickle
import statistics
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from time import perf_counter

import grpc.aio

import mesh
from benchmarks.deployments import deploy
from benchmarks.load import PAYLOAD
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, Target, at_most, rows, times_at_least
from benchmarks.unary import unary_servers
from benchmarks.unary_server import OPTIONS, STREAM

STEP_S = 0.05
"""How long a generator computes behind its first item."""
LONGEST_S = 60.0
"""No stream of the baseline takes longer."""
ITEMS_PER_S = 20_000
"""So many items make about a second's worth of a slow reader's round."""


@mesh.deployment(max_ongoing_requests=1000)
class Source:
    """Yields as fast as it can."""

    async def items(self, item: object, number: int) -> AsyncGenerator[object, None]:
        for _ in range(number):
            yield item

    def plain(self, item: object, number: int) -> Generator[object, None, None]:
        for _ in range(number):
            yield item

    async def moment(self) -> AsyncGenerator[float, None]:
        """The moment of the yield, on the clock that all processes of a machine share."""
        yield perf_counter()
        _compute()
        yield 0.0

    def plain_moment(self) -> Generator[float, None, None]:
        yield perf_counter()
        _compute()
        yield 0.0


def _compute() -> None:
    end = perf_counter() + STEP_S
    while perf_counter() < end:
        pass


@mesh.deployment(max_ongoing_requests=1000, request_timeout_s=120)
class Reader:
    """Reads from inside a replica."""

    def __init__(self, source: mesh.DeploymentHandle) -> None:
        self._source = source

    async def mesh(self, method: str, streams: int, number: int) -> Load:
        return await mesh_items(getattr(self._source, method), streams, number)

    async def grpc(self, address: str, streams: int, number: int) -> Load:
        return await grpc_items(address, streams, number)


async def mesh_items(handle: mesh.DeploymentHandle, streams: int, number: int) -> Load:
    """So many streams of so many items, read at the same time."""

    async def read() -> None:
        async for _ in handle(PAYLOAD, number):
            pass

    return await _items(read, streams, number)


async def grpc_items(address: str, streams: int, number: int) -> Load:
    """The same over plain server streaming, each item pickled on its own."""
    async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
        method = channel.unary_stream(STREAM)

        async def read() -> None:
            async for item in method(pickle.dumps((PAYLOAD, number), 5), timeout=LONGEST_S):
                pickle.loads(item)

        return await _items(read, streams, number)


async def _items(read: Callable[[], Awaitable[None]], streams: int, number: int) -> Load:
    begin = perf_counter()
    await asyncio.gather(*(read() for _ in range(streams)))
    return Load(streams * number, {"items/s": streams * number / (perf_counter() - begin)})


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    reader = await deploy(Reader.bind(Source.bind()))
    source = mesh.DeploymentHandle("default", "Source")
    with unary_servers(1) as [address]:
        for method, kind, bound in (("items", "async def", 4), ("plain", "def", 2)):
            for streams in (1, 16):
                for where in ("a script's loop",) if plan.is_quick else ("a script's loop", "a replica"):
                    ours, baseline = _sides(where, getattr(source, method), reader, method, address, streams)
                    units: dict[str, Target | None] = {"items/s": times_at_least(bound)}
                    what = f"{kind}, {streams} stream{'s' if streams > 1 else ''}, read from {where}"
                    for row in rows("generators", what, await interleave(plan, ours, baseline), units):
                        yield row
    for method, kind in (("moment", "async def"), ("plain_moment", "def")):
        rounds = await interleave(plan, _first_item(getattr(source, method), 5 if plan.is_quick else 20))
        for row in rows("generators", f"{kind}, first item read after its yield", rounds, {"p50 ms": at_most(1)}):
            yield row


def _sides(
    where: str, handle: mesh.DeploymentHandle, reader: mesh.DeploymentHandle, method: str, address: str, streams: int
) -> tuple[Side, Side]:
    def each(for_s: float, rate: int) -> int:
        return int(for_s * rate) // streams

    async def ours(for_s: float) -> Load:
        number = each(for_s, 4 * ITEMS_PER_S)
        if where == "a replica":
            return await reader.mesh(method, streams, number)
        return await mesh_items(handle, streams, number)

    async def baseline(for_s: float) -> Load:
        number = each(for_s, ITEMS_PER_S)
        if where == "a replica":
            return await reader.grpc(address, streams, number)
        return await grpc_items(address, streams, number)

    return ours, baseline


def _first_item(handle: mesh.DeploymentHandle, times: int) -> Side:
    async def side(_: float) -> Load:
        took_ms = []
        for _ in range(times):
            items = handle.remote()
            yielded = await anext(aiter(items))
            took_ms.append((perf_counter() - yielded) * 1000)
            async for _ in items:
                pass
        return Load(0, {"p50 ms": statistics.median(took_ms), "worst ms": max(took_ms)})

    return side
