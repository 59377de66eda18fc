"""One benchmark in a process of its own, so that none sees what another has left, and its rows as they come."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

import mesh
from benchmarks.rounds import Plan
from benchmarks.row import Row
from mesh.loops import new_loop

LONGEST_S = 300
"""No single row may take longer."""


class BenchmarkFailed(Exception):
    """A benchmark raised, ended or did not go on; the message has its traceback."""


def rows_of(name: str, plan: Plan) -> Iterator[Row]:
    """The rows of the benchmark in the module of that name. Raises :class:`BenchmarkFailed`."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_run, args=(name, plan, there))
    process.start()
    there.close()
    try:
        while True:
            if not here.poll(LONGEST_S):
                raise BenchmarkFailed(f"{name} gave no row for {LONGEST_S} s")
            try:
                message: Row | str | None = here.recv()
            except EOFError:
                process.join(5)
                raise BenchmarkFailed(f"{name} ended with exit code {process.exitcode}") from None
            if message is None:
                process.join(30)
                return
            if isinstance(message, str):
                raise BenchmarkFailed(f"{name} failed:\n{message}")
            yield message
    finally:
        process.kill()  # what it started ends with it
        process.join()
        here.close()


def _run(name: str, plan: Plan, pipe: Connection) -> None:
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_send_rows(name, plan, pipe))
    except Exception:
        pipe.send(traceback.format_exc())
    else:
        pipe.send(None)
    finally:
        mesh.shutdown(drain=False)


async def _send_rows(name: str, plan: Plan, pipe: Connection) -> None:
    async for row in importlib.import_module(f"benchmarks.{name}").measure(plan):
        pipe.send(row)
