"""Reads chunked responses over many connections, in a process of its own, and counts their chunks.

``python -m benchmarks.stream_client KIND URL CONNECTIONS SECONDS`` prints its figures as JSON; the kinds are those of
:mod:`benchmarks.token_streams`. The encoding is read by httptools, which is C. ``client busy`` is the share of the time
in which this process used a CPU: near 1, it is the client that was measured.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

from httptools import HttpResponseParser

from benchmarks.parent import end_with_parent
from benchmarks.token_streams import PACE_S
from mesh.loops import new_loop

CHUNKS = 1000
"""Of each response that comes as fast as it can."""
RAMP_S = 0.5
"""Paced streams begin within this time; their tokens count from when all of them are under way."""


class Connection(asyncio.Protocol):
    """One response after the other; ``chunk`` is called with each chunk as it comes."""

    def __init__(self, url: str, chunk: Callable[[bytes], object]) -> None:
        self._parts = urlsplit(url)
        self._chunk = chunk
        self._body = b""
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._ended: asyncio.Future[None]

    async def open(self) -> None:
        """Connect."""
        host, port = self._parts.hostname, self._parts.port
        assert host is not None
        assert port is not None
        await asyncio.get_running_loop().create_connection(lambda: self, host, port)

    async def get(self, query: str) -> None:
        """One request, up to the end of its response. Raises RuntimeError when that is no good one."""
        self._ended = asyncio.get_running_loop().create_future()
        self._transport.write(
            f"GET {self._parts.path or '/'}?{query} HTTP/1.1\r\nHost: {self._parts.netloc}\r\n\r\n".encode()
        )
        await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection ended in the middle of a response: {error!r}")

    def _fail(self, why: str) -> None:
        if not self._ended.done():
            self._ended.set_exception(RuntimeError(why))

    # What the parser finds.

    def on_headers_complete(self) -> None:
        if (status := self._parser.get_status_code()) != 200:
            self._fail(f"the server answered {status}")

    def on_body(self, body: bytes) -> None:
        self._body = self._body + body if self._body else body

    def on_chunk_complete(self) -> None:
        if self._body:  # the chunk that ends a response has none
            self._chunk(self._body)
            self._body = b""

    def on_message_complete(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


async def read_chunks(url: str, connections: int, for_s: float) -> Mapping[str, float]:
    """Responses of :data:`CHUNKS` chunks, one after the other over each connection."""
    chunks = 0

    def count(_: bytes) -> None:
        nonlocal chunks
        chunks += 1

    opened = [Connection(url, count) for _ in range(connections)]
    await asyncio.gather(*(connection.open() for connection in opened))
    responses = 0
    begin = perf_counter()

    async def one(connection: Connection) -> None:
        nonlocal responses
        while perf_counter() < begin + for_s:
            await connection.get(f"kind=chunks&number={CHUNKS}")
            responses += 1

    await asyncio.gather(*map(one, opened))
    if chunks != responses * CHUNKS:
        raise RuntimeError(f"{responses} responses of {CHUNKS} chunks had {chunks}")
    return {"chunks": chunks, "chunks/s": chunks / (perf_counter() - begin)}


async def time_first(url: str, _: int, for_s: float) -> Mapping[str, float]:
    """Milliseconds from a request to its first chunk."""
    took_ms: list[float] = []
    came: list[float] = []
    connection = Connection(url, lambda _: came.append(perf_counter()))
    await connection.open()
    end = perf_counter() + for_s
    while perf_counter() < end:
        came.clear()
        begin = perf_counter()
        await connection.get("kind=first")
        took_ms.append((came[0] - begin) * 1e3)
    return {"chunks": 0, "p50 ms": statistics.median(took_ms)}


async def read_paced(url: str, connections: int, for_s: float) -> Mapping[str, float]:
    """How long after its due moment each token came, when ``connections`` streams run at once."""
    came: list[tuple[float, float]] = []

    def token(event: bytes) -> None:
        came.append((float(event[6:-2]), perf_counter()))

    opened = [Connection(url, token) for _ in range(connections)]
    await asyncio.gather(*(connection.open() for connection in opened))
    query = f"kind=paced&number={round((RAMP_S + for_s) / PACE_S)}"

    async def one(index: int, connection: Connection) -> None:
        await asyncio.sleep(RAMP_S * index / connections)
        await connection.get(query)

    begin = perf_counter()
    await asyncio.gather(*(one(index, connection) for index, connection in enumerate(opened)))
    late_ms = sorted((at - due) * 1e3 for due, at in came if begin + RAMP_S <= due < begin + RAMP_S + for_s)
    return {
        "chunks": len(came),
        "p50 ms late": late_ms[len(late_ms) // 2],
        "p99 ms late": late_ms[int(len(late_ms) * 0.99)],
        "worst ms late": late_ms[-1],
    }


KINDS: Mapping[str, Callable[[str, int, float], Awaitable[Mapping[str, float]]]] = {
    "chunks": read_chunks,
    "first": time_first,
    "paced": read_paced,
}


async def main(kind: str, url: str, connections: int, for_s: float) -> None:
    begin, cpu_s = perf_counter(), time.process_time()
    figures = await KINDS[kind](url, connections, for_s)
    busy = (time.process_time() - cpu_s) / (perf_counter() - begin)
    print(json.dumps({**figures, "client busy": busy}))


if __name__ == "__main__":
    end_with_parent()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
