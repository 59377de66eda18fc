"""Calls by handle against plain ``grpc.aio`` unary with the same pickled payload, interleaved in one run."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import mesh
from benchmarks.deployments import Caller, Echo
from benchmarks.load import PAYLOAD, Load, UnaryClient, run_load


@dataclass(frozen=True)
class Row:
    """One figure beside its baseline: medians over the rounds, and the lowest and highest ratio of a round."""

    what: str
    calls_per_s: float
    baseline_calls_per_s: float
    ratio: float
    lowest_ratio: float
    highest_ratio: float
    p50_us: float
    baseline_p50_us: float


@contextmanager
def unary_servers(count: int) -> Iterator[list[str]]:
    """So many baseline servers on unix sockets, each a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = [f"unix:{folder}/{number}.sock" for number in range(count)]
        servers = [
            subprocess.Popen([sys.executable, "-m", "benchmarks.unary_server", address], stdout=subprocess.PIPE)
            for address in addresses
        ]
        try:
            for server in servers:
                assert server.stdout is not None
                server.stdout.readline()
            yield addresses
        finally:
            for server in servers:
                server.kill()
                server.wait()


Round = Callable[[], Awaitable[Load]]


async def compare(what: str, ours: Round, baseline: Round, rounds: int) -> Row:
    """``rounds`` rounds of each, in turn."""
    pairs = [(await ours(), await baseline()) for _ in range(rounds)]
    ratios = [mine.calls_per_s / theirs.calls_per_s for mine, theirs in pairs]
    return Row(
        what=what,
        calls_per_s=statistics.median(mine.calls_per_s for mine, _ in pairs),
        baseline_calls_per_s=statistics.median(theirs.calls_per_s for _, theirs in pairs),
        ratio=statistics.median(ratios),
        lowest_ratio=min(ratios),
        highest_ratio=max(ratios),
        p50_us=statistics.median(mine.p50_us for mine, _ in pairs),
        baseline_p50_us=statistics.median(theirs.p50_us for _, theirs in pairs),
    )


async def measure(replicas: int, rounds: int, for_s: float) -> list[Row]:
    """All figures over so many replicas."""
    caller = await asyncio.to_thread(mesh.run, Caller.bind(Echo.options(num_replicas=replicas).bind()))
    echo = mesh.DeploymentHandle("default", "Echo")
    rows = []
    with unary_servers(replicas) as addresses:
        client = UnaryClient(addresses)
        for method, kind in (("echo", "async def"), ("plain", "def")):
            handle = getattr(echo, method)
            for concurrent in (1, 16, 256):
                about = f"{kind}, {concurrent} concurrent, {replicas} replica{'s' if replicas > 1 else ''}"
                rows.append(
                    await compare(
                        f"script loop: {about}",
                        lambda handle=handle, n=concurrent: run_load(lambda: handle(PAYLOAD), n, for_s),  # type: ignore[misc]
                        lambda n=concurrent: run_load(client.call, n, for_s),  # type: ignore[misc]
                        rounds,
                    )
                )
                rows.append(
                    await compare(
                        f"in a replica: {about}",
                        lambda method=method, n=concurrent: caller.mesh_load(method, n, for_s),  # type: ignore[misc]
                        lambda n=concurrent: caller.unary_load(addresses, n, for_s),  # type: ignore[misc]
                        rounds,
                    )
                )
        await client.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each round")
    parser.add_argument("--json", help="file for the figures as JSON")
    arguments = parser.parse_args()
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    rows: list[Row] = []
    print(f"{'':55} {'calls/s':>9} {'unary':>8} {'ratio':>6} {'(spread)':>13} {'p50 us':>8} {'unary':>8}")
    for replicas in arguments.replicas:
        for row in asyncio.run(measure(replicas, arguments.rounds, arguments.seconds)):
            rows.append(row)
            print(
                f"{row.what:55} {row.calls_per_s:9,.0f} {row.baseline_calls_per_s:8,.0f} {row.ratio:6.2f} "
                f"{row.lowest_ratio:6.2f}-{row.highest_ratio:<6.2f} {row.p50_us:8.0f} {row.baseline_p50_us:8.0f}",
                flush=True,
            )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump([asdict(row) for row in rows], file, indent=1)
    mesh.shutdown()


if __name__ == "__main__":
    main()
