"""Rolling updates in a row under load by HTTP and by handle: what failed, and how long requests took meanwhile.

Once with all new replicas beside the old ones, once with one after the other.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

import mesh
from tests.services.updated import Served
from tests.soak.figure import Figure, line

SECONDS = 120.0
UPDATE_S = 2.5
"""What one update takes with the pauses before and after it; so many of them fit into the seconds."""
AT_HALF_CAPACITY_PER_S = 200.0
"""Two replicas with four calls of 20 ms at a time each do 400 calls a second."""
BEFORE_S = 10.0
BETWEEN_S = 1.0
MOST_TIMES_SLOWER = 3.0
REQUEST_LIMIT_S = 30.0

Call = Callable[[], Awaitable[int]]


@dataclass
class Figures:
    """What a load has met with; latencies in seconds, from the moment at which each request was due."""

    before_s: list[float] = field(default_factory=list)
    during_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    """Those that have answered, each when it did so for the first time."""
    update_s: list[float] = field(default_factory=list)

    @property
    def times_slower(self) -> float:
        """The p99 during the updates over that before them."""
        return quantile(self.during_s, 0.99) / quantile(self.before_s, 0.99)


class Load:
    """Requests at a fixed rate, whatever becomes of them, in turn by each of the ``calls``."""

    def __init__(self, calls: list[Call], per_s: float) -> None:
        self.figures = Figures()
        self.latencies_s = self.figures.before_s
        """Where the next ones go."""
        self._calls = calls
        self._pause_s = 1 / per_s
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, is_over: asyncio.Event) -> None:
        """Until the event; returns when all that was begun has ended."""
        number, begun_s = 0, monotonic()
        while not is_over.is_set():
            due_s = begun_s + number * self._pause_s
            if (wait_s := due_s - monotonic()) > 0:
                await asyncio.sleep(wait_s)
            task = asyncio.create_task(self._send(self._calls[number % len(self._calls)], due_s))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1
        await asyncio.gather(*self._under_way)

    async def _send(self, call: Call, due_s: float) -> None:
        latencies_s = self.latencies_s
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                version = await call()
        except Exception as error:
            self.figures.failures.append(f"{type(error).__name__}: {error}")
            return
        latencies_s.append(monotonic() - due_s)
        if version not in self.figures.versions:
            self.figures.versions.append(version)


class Http:
    """GET requests to one URL over connections that are kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path or "/"
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self) -> int:
        """The JSON number that is answered; raises AssertionError for anything but 200."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(f"GET {self._path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in head if line.startswith("content-length"))
        body = await reader.readexactly(length)
        assert " 200 " in head[0], f"{head[0]}: {body[:200]!r}"
        self._idle.append((reader, writer))
        return int(json.loads(body))

    async def close(self) -> None:
        """Close all connections."""
        for _, writer in self._idle:
            writer.close()
            await writer.wait_closed()


async def update_under_load(
    deploy: Callable[[int], mesh.DeploymentHandle],
    url: str,
    updates: int,
    before_s: float = BEFORE_S,
    between_s: float = BETWEEN_S,
) -> Figures:
    """Deploy version 0, then one version after the other while requests are sent. ``deploy(version)`` waits."""
    handle = await asyncio.to_thread(deploy, 0)
    http = Http(url)

    async def by_handle() -> int:
        version: int = await handle.answer()
        return version

    load, is_over = Load([by_handle, http.get], AT_HALF_CAPACITY_PER_S), asyncio.Event()
    running = asyncio.create_task(load.run(is_over))
    try:
        await asyncio.sleep(before_s)
        for version in range(1, updates + 1):
            load.latencies_s = load.figures.before_s  # between two updates, too: neighbours disturb both alike
            await asyncio.sleep(between_s)
            load.latencies_s = load.figures.during_s
            begun_s = monotonic()
            await asyncio.to_thread(deploy, version)
            load.figures.update_s.append(monotonic() - begun_s)
            await asyncio.sleep(between_s)
    finally:
        is_over.set()
        await running
        await http.close()
    return load.figures


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values is not above."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main(seconds: float) -> Iterator[Figure]:
    """Half of the seconds for each of the two ways: in 120 seconds 20 updates each."""
    before_s = min(BEFORE_S, seconds / 4)
    updates = max(1, round((seconds / 2 - before_s) / UPDATE_S))
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    url = mesh.status().url
    ways: tuple[int | str, ...] = ("100%", 1)
    for max_surge in ways:
        figures = asyncio.run(update_under_load(partial(_deployed, max_surge), url, updates, before_s))
        yield from _told(figures, f"max_surge {max_surge}", updates)
        mesh.delete("default")


def _deployed(max_surge: int | str, version: int) -> mesh.DeploymentHandle:
    return mesh.run(Served.options(max_surge=max_surge).bind(version))


def _told(figures: Figures, way: str, updates: int) -> Iterator[Figure]:
    seen = len(figures.before_s) + len(figures.during_s) + len(figures.failures)
    yield Figure.shown(f"{way}: requests", seen)
    yield Figure.equal(f"{way}: requests that failed", len(figures.failures), 0)
    for failure in sorted(set(figures.failures))[:5]:
        yield Figure.shown(f"{way}: a failure", failure[:200])
    yield Figure.equal(f"{way}: versions that have answered", len(figures.versions), updates + 1)
    yield Figure.shown(f"{way}: an update took, median", f"{quantile(figures.update_s, 0.5):.2f} s")
    yield Figure.shown(f"{way}: p50 during updates", f"{1000 * quantile(figures.during_s, 0.5):.1f} ms")
    yield Figure.shown(f"{way}: p99 outside of updates", f"{1000 * quantile(figures.before_s, 0.99):.1f} ms")
    yield Figure.shown(f"{way}: p99 during updates", f"{1000 * quantile(figures.during_s, 0.99):.1f} ms")
    yield Figure.at_most(f"{way}: p99 during over p99 outside", figures.times_slower, MOST_TIMES_SLOWER)


if __name__ == "__main__":
    found = []
    for figure in main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS):
        print(line(figure), flush=True)
        found.append(figure)
    mesh.shutdown()
    sys.exit(any(figure.failed for figure in found))
