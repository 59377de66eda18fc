"""Generators by handle against grpc.aio server streaming of the same pickled items, interleaved in one run.

Also how long after its ``yield`` the first item is read, when the generator computes on and never waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pickle
import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import grpc.aio

import mesh
from benchmarks.handle_call import unary_servers
from benchmarks.load import PAYLOAD
from benchmarks.unary_server import STREAM_METHOD

STEP_S = 0.05
"""How long a generator computes behind its first item."""


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

    async def mesh(self, method: str, streams: int, number: int) -> float:
        return await mesh_rate(getattr(self._source, method), streams, number)

    async def grpc(self, address: str, streams: int, number: int) -> float:
        return await grpc_rate(address, streams, number)


async def mesh_rate(handle: mesh.DeploymentHandle, streams: int, number: int) -> float:
    """Items a second over so many streams of so many items."""

    async def read() -> None:
        async for _ in handle(PAYLOAD, number):
            pass

    return await _rate(read, streams, number)


async def grpc_rate(address: str, streams: int, number: int) -> float:
    """The same over plain server streaming, each item pickled on its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_stream(STREAM_METHOD)

        async def read() -> None:
            async for item in method(pickle.dumps((PAYLOAD, number), 5), timeout=60):
                pickle.loads(item)

        return await _rate(read, streams, number)


async def _rate(read: Callable[[], Awaitable[None]], streams: int, number: int) -> float:
    begin = perf_counter()
    await asyncio.gather(*(read() for _ in range(streams)))
    return streams * number / (perf_counter() - begin)


@dataclass(frozen=True)
class Row:
    """Items a second beside the baseline: medians over the rounds, and the lowest and highest ratio of a round."""

    what: str
    items_per_s: float
    baseline_items_per_s: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float


async def compare(
    what: str, ours: Callable[[], Awaitable[Any]], baseline: Callable[[], Awaitable[Any]], rounds: int
) -> Row:
    """``rounds`` rounds of each, in turn."""
    pairs = [(await ours(), await baseline()) for _ in range(rounds)]
    ratios = [mine / theirs for mine, theirs in pairs]
    return Row(
        what,
        statistics.median(mine for mine, _ in pairs),
        statistics.median(theirs for _, theirs in pairs),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


async def measure(number: int, rounds: int) -> tuple[list[Row], dict[str, float]]:
    """All figures: rates, and microseconds from the first yield to its item."""
    reader = await asyncio.to_thread(mesh.run, Reader.bind(Source.bind()))
    source = mesh.DeploymentHandle("default", "Source")
    rows = []
    with unary_servers(1) as [address]:
        for method, kind in (("items", "async def"), ("plain", "def")):
            handle = getattr(source, method)
            for streams in (1, 16):
                each = number // streams
                about = f"{kind}, {streams} stream{'s' if streams > 1 else ''}"
                rows.append(
                    await compare(
                        f"script loop: {about}",
                        lambda handle=handle, n=streams, each=each: mesh_rate(handle, n, each),  # type: ignore[misc]
                        lambda n=streams, each=each: grpc_rate(address, n, each),  # type: ignore[misc]
                        rounds,
                    )
                )
                rows.append(
                    await compare(
                        f"in a replica: {about}",
                        lambda method=method, n=streams, each=each: reader.mesh(method, n, each),  # type: ignore[misc]
                        lambda n=streams, each=each: reader.grpc(address, n, each),  # type: ignore[misc]
                        rounds,
                    )
                )
    first = {f"first item, {kind}": await first_item_us(getattr(source, method)) for kind, method in _MOMENTS}
    return rows, first


async def first_item_us(handle: mesh.DeploymentHandle) -> float:
    """The median time from a first yield to its item, while the generator computes on."""
    took = []
    for _ in range(50):
        items = handle.remote()
        yielded = await anext(aiter(items))
        took.append(perf_counter() - yielded)
        async for _ in items:
            pass
    return statistics.median(took) * 1e6


_MOMENTS = (("async def", "moment"), ("def", "plain_moment"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the figures as JSON")
    arguments = parser.parse_args()
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    rows, first = asyncio.run(measure(arguments.items, arguments.rounds))
    print(f"{'':40} {'items/s':>9} {'gRPC':>8} {'ratio':>6} {'(spread)':>13}")
    for row in rows:
        print(
            f"{row.what:40} {row.items_per_s:9,.0f} {row.baseline_items_per_s:8,.0f} {row.ratio:6.2f} "
            f"{row.lowest_ratio:6.2f}-{row.highest_ratio:<6.2f}"
        )
    for what, took_us in first.items():
        print(f"{what:40} {took_us:9,.0f} us after its yield")
    mesh.shutdown(drain=False)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"rates": [asdict(row) for row in rows], "first_us": first}, file, indent=1)


if __name__ == "__main__":
    main()
