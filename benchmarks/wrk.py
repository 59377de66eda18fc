"""wrk, which puts load on an HTTP server, and what it prints."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Awaitable, Callable

from benchmarks.rounds import Load

MISSING = "wrk is not installed: install the Debian package wrk (apt-get install wrk), or build github.com/wg/wrk"

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def is_installed() -> bool:
    """Whether HTTP can be measured here."""
    return shutil.which("wrk") is not None


def requests_to(url: str, connections: int) -> Callable[[float], Awaitable[Load]]:
    """Load of so many connections, for whole seconds. Raises RuntimeError when an answer was no success."""

    async def side(for_s: float) -> Load:
        command = ("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(for_s))}s", "--timeout", "30s", "--latency", url)
        # Not by the loop: uvloop forks, and a fork of a process with threads may never reach its exec.
        ended = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, text=True)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {ended.stdout}")
        return parse(ended.stdout)

    return side


def parse(printed: str) -> Load:
    """The figures in what wrk prints. Raises RuntimeError when it says that requests failed."""
    if failed := re.search(r"^\s*(Non-2xx.*|Socket errors:.*)$", printed, re.MULTILINE):
        raise RuntimeError(f"wrk: {failed.group(1)}")
    return Load(
        requests=int(_find(r"(\d+) requests in", printed)),
        figures={
            "requests/s": float(_find(r"Requests/sec:\s*([\d.]+)", printed)),
            "p50 ms": _latency_ms("50%", printed),
            "p99 ms": _latency_ms("99%", printed),
        },
    )


def _latency_ms(percentile: str, printed: str) -> float:
    amount, unit = re.fullmatch(r"([\d.]+)(\w+)", _find(rf"\s{percentile}\s+(\S+)", printed)).groups()  # type: ignore[union-attr] # _find gives no empty text
    return float(amount) * _SECONDS[unit] * 1e3


def _find(pattern: str, printed: str) -> str:
    found = re.search(pattern, printed)
    if found is None:
        raise RuntimeError(f"wrk printed nothing that matches {pattern!r}: {printed}")
    return found.group(1)
