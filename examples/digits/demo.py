"""Deploys the graph of digits, sends it every held-out image over HTTP and by handle, and says what came out.

Run it:    python -m examples.digits.demo     (or: make demo)

It ends by itself: exit code 0 when every answer was right in form, the same both ways, and right in nine of ten cases.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import mesh
from examples.digits.graph import graph
from examples.digits.images import Images, held_out_images
from mesh.application_status import MeshStatus
from mesh.dag import to_dot

AT_ONCE = 16
"""Requests that are under way at the same time."""

ACCURACY_WANTED = 0.9


@dataclass(frozen=True, slots=True)
class Round:
    """All images sent once in one way: the answers in the order of the images, and how long they took."""

    way: str
    answers: list[dict[str, Any]]
    latencies_s: list[float]
    elapsed_s: float

    def accuracy(self, images: Images) -> float:
        right = sum(answer["digit"] == label for answer, label in zip(self.answers, images.labels, strict=True))
        return float(right / len(images))

    def describe(self, images: Images) -> str:
        percentiles = statistics.quantiles(self.latencies_s, n=100)
        return (
            f"  {self.way:<10} {self.accuracy(images):7.1%} {len(images) / self.elapsed_s:11.0f}/s"
            f" {percentiles[49] * 1000:9.1f} ms {percentiles[98] * 1000:9.1f} ms"
        )


def main() -> int:
    images = held_out_images()
    mesh.start(http_options=mesh.HTTPOptions(port=0))  # any free port: a demo must not mind what else runs here
    handle = mesh.run(graph, name="digits")
    status = mesh.status()
    print(f"The graph, running at {status.url}:\n\n{to_dot(graph).to_string()}")
    show_replicas(status)

    bodies = [pixels.tolist() for pixels in images.pixels]
    rounds = [over_http(bodies, status.url), asyncio.run(by_handle(bodies, handle))]
    print(f"\n{len(images)} held-out images, {AT_ONCE} at once:\n")
    print("  way       accuracy   throughput          p50          p99")
    for one in rounds:
        print(one.describe(images))
    show_mistakes(images, rounds[0].answers)
    mesh.shutdown()
    return verdict(images, rounds)


def over_http(bodies: Sequence[list[float]], url: str) -> Round:
    """A thread for each request under way, each with a connection that it keeps."""
    address = urlsplit(url)
    threads = threading.local()

    def ask(pixels: list[float]) -> dict[str, Any]:
        if not hasattr(threads, "connection"):
            threads.connection = HTTPConnection(address.hostname or "localhost", address.port, timeout=30)
        threads.connection.request("POST", "/", json.dumps(pixels))
        response = threads.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"HTTP {response.status}: {body.decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = perf_counter()
        timed = list(pool.map(_timed(ask), bodies))
        elapsed_s = perf_counter() - began
    return Round("HTTP", [answer for answer, _ in timed], [seconds for _, seconds in timed], elapsed_s)


def _timed(ask: Callable[[list[float]], dict[str, Any]]) -> Callable[[list[float]], tuple[dict[str, Any], float]]:
    def timed(pixels: list[float]) -> tuple[dict[str, Any], float]:
        began = perf_counter()
        return ask(pixels), perf_counter() - began

    return timed


async def by_handle(bodies: Sequence[list[float]], handle: mesh.DeploymentHandle) -> Round:
    """A task for each request, as many at once as the semaphore lets through."""
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(pixels: list[float]) -> tuple[dict[str, Any], float]:
        async with room:
            began = perf_counter()
            return await handle.predict(pixels), perf_counter() - began

    began = perf_counter()
    timed = await asyncio.gather(*(ask(pixels) for pixels in bodies))
    elapsed_s = perf_counter() - began
    return Round("handle", [answer for answer, _ in timed], [seconds for _, seconds in timed], elapsed_s)


def show_replicas(status: MeshStatus) -> None:
    print("Its replicas, each a process:\n")
    for application in status.applications:
        for deployment in application.deployments:
            for replica in deployment.replicas:
                print(f"  {replica.replica_id:<20} pid {replica.pid:<8} {replica.state}")


def show_mistakes(images: Images, answers: Sequence[dict[str, Any]], most: int = 2) -> None:
    """Draw the first images that were taken for another digit."""
    wrong = [number for number, answer in enumerate(answers) if answer["digit"] != images.labels[number]]
    for number in wrong[:most]:
        answer = answers[number]
        print(f"\n  a {images.labels[number]}, taken for a {answer['digit']} with confidence {answer['confidence']}:")
        for row in images.pixels[number].reshape(8, 8):
            print("    " + "".join(" .:-=+*#%@"[int(pixel * 9 / 16)] * 2 for pixel in row))


def verdict(images: Images, rounds: Sequence[Round]) -> int:
    """The exit code: 1, with a word about it, when something is not as it should be."""
    if any(one.answers != rounds[0].answers for one in rounds):
        print("\nHTTP and handle gave different answers", file=sys.stderr)
        return 1
    if rounds[0].accuracy(images) < ACCURACY_WANTED:
        print(f"\nfewer than {ACCURACY_WANTED:.0%} of the answers are right", file=sys.stderr)
        return 1
    print("\nBoth ways gave the same answers.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
