"""Streaming responses through the bridge beside bare Starlette: the same generators, and one client for both.

Tiny chunks as fast as they come, how soon the first of them is there, and 256 streams of a token each 10 ms, of which
every token has a moment at which it is due. A client may ask how many chunks a response has, so none are joined; those
that are ready together share a write, here as in bare Starlette.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import StreamingResponse

import mesh
from benchmarks.bare_starlette import bare_starlette
from benchmarks.deployments import deploy, url
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, Target, at_most, more_at_most, rows, times_at_least
from benchmarks.token_streams import stream_for

CASES: tuple[tuple[str, str, int, dict[str, Target | None]], ...] = (
    ("1,000 tiny chunks, 1 response at a time", "chunks", 1, {"chunks/s": times_at_least(0.5)}),
    ("1,000 tiny chunks, 8 responses at a time", "chunks", 8, {"chunks/s": times_at_least(0.5)}),
    ("first chunk of a response", "first", 1, {"p50 ms": more_at_most(1)}),
    (
        "256 streams, a token each 10 ms",
        "paced",
        256,
        {"p99 ms late": at_most(10), "p50 ms late": None, "worst ms late": None},
    ),
)
"""What the row says, what is streamed, over how many connections, and what the rows show."""
ROUND_S = 2.0


@mesh.deployment(max_ongoing_requests=1000)
class Tokens:
    """What bare Starlette streams."""

    async def __call__(self, request: Request) -> StreamingResponse:
        return stream_for(request)


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    await deploy(Tokens.bind())
    with bare_starlette() as (bare_url, _):
        for what, kind, connections, units in CASES:
            ours, baseline = (_read(kind, side, connections) for side in (url(), f"{bare_url}/stream"))
            for_s = plan.round_s if plan.is_quick else ROUND_S
            for row in rows("http_streams", what, await interleave(plan, ours, baseline, for_s), units):
                yield row


def _read(kind: str, address: str, connections: int) -> Side:
    async def side(for_s: float) -> Load:
        return await asyncio.to_thread(_run_client, kind, address, connections, for_s)

    return side


def _run_client(kind: str, address: str, connections: int, for_s: float) -> Load:
    command = (sys.executable, "-m", "benchmarks.stream_client", kind, address, str(connections), str(for_s))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    figures = json.loads(printed)
    return Load(figures["chunks"], figures)
