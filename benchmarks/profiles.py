"""Where the time of a call goes: ``python -m benchmarks.profiles``, which is ``make profile``.

While load runs, py-spy looks at every process on its way some hundred times a second. For each it writes a flame graph
(``.svg``) and the collapsed stacks (``.txt``) into a folder; the functions that took most are printed. What counts is
a thread that runs or waits for a CPU; py-spy does not stop the process for a look, since threads that wait would be
counted then, too. ``Runner.run`` and ``LoopThread._run`` are the event loop itself, which is uvloop's C code.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

import mesh
from benchmarks import wrk
from benchmarks.chain import graph
from benchmarks.deployments import Echo, deploy, url
from benchmarks.http_requests import Hello
from benchmarks.load import PAYLOAD, run_load
from benchmarks.rounds import Load, Side
from benchmarks.stacks import parse, report
from mesh.loops import new_loop

RATE_HZ = 200
FORMATS = {"raw": "txt", "flamegraph": "svg"}
SITUATIONS = ("handle_call", "http_request", "chain")

NOT_PERMITTED = """py-spy may not look into other processes here ({error}).
Either run this as root, as in `sudo make profile`, or allow it until the machine starts again:
`sudo sysctl kernel.yama.ptrace_scope=0`.
In a container, start that with --cap-add=SYS_PTRACE."""


class NotPermitted(Exception):
    """py-spy could not look into a process; the message says what to do."""


async def profile(situation: str, folder: Path, for_s: int) -> None:
    """Put load on one situation, record every process in it, and print what took most."""
    async with _SITUATIONS[situation]() as (side, pids):
        await side(1)
        stop = asyncio.Event()
        load = asyncio.create_task(_until(stop, side))
        try:
            for format_, ending in FORMATS.items():  # py-spy writes one format at a time
                files = {name: folder / f"{situation}-{name}.{ending}" for name in pids}
                await asyncio.gather(*(_record(pids[name], format_, files[name], for_s) for name in pids))
                if format_ == "raw":
                    for name, file in files.items():
                        print(report(f"{situation}, {name}", parse(file.read_text().splitlines())), flush=True)
        finally:
            stop.set()
            await load


async def _until(stop: asyncio.Event, side: Side) -> None:
    while not stop.is_set():
        await side(1)


async def _record(pid: int, format_: str, file: Path, for_s: int) -> None:
    command = (
        *("py-spy", "record", "--pid", str(pid), "--duration", str(for_s), "--rate", str(RATE_HZ), "--nonblocking"),
        *("--format", format_, "--output", str(file)),
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
    printed, _ = await process.communicate()
    if process.returncode:
        error = printed.decode().strip()
        if "ermission" in error:
            raise NotPermitted(NOT_PERMITTED.format(error=error.partition("\n")[0]))
        raise RuntimeError(f"{' '.join(command)} failed: {error}")


@asynccontextmanager
async def _handle_call() -> AsyncIterator[tuple[Side, Mapping[str, int]]]:
    handle = await deploy(Echo.bind())

    async def side(for_s: float) -> Load:
        return await run_load(lambda: handle.echo(PAYLOAD), 64, for_s)

    yield side, {"caller": os.getpid(), "replica": _replica("Echo")}


@asynccontextmanager
async def _http_request() -> AsyncIterator[tuple[Side, Mapping[str, int]]]:
    await deploy(Hello.bind())
    yield wrk.requests_to(f"{url()}/?name=a", 64), {"bridge": _bridge(), "replica": _replica("Hello")}


@asynccontextmanager
async def _chain() -> AsyncIterator[tuple[Side, Mapping[str, int]]]:
    await deploy(graph())
    pids = {"bridge": _bridge(), "driver": _replica("DAGDriver"), "first step": _replica("First")}
    yield wrk.requests_to(f"{url()}/?n=1", 32), {name.replace(" ", "_"): pid for name, pid in pids.items()}


_SITUATIONS = dict(zip(SITUATIONS, (_handle_call, _http_request, _chain), strict=True))


def _replica(deployment: str) -> int:
    found = [d for application in mesh.status().applications for d in application.deployments if d.name == deployment]
    return found[0].replicas[0].pid


def _bridge() -> int:
    engine = psutil.Process(mesh.status().engine_pid)
    return next(child.pid for child in engine.children() if child.cmdline()[:1] == ["mesh: bridge"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SITUATIONS, default=SITUATIONS, metavar="NAME",
                        help=f"of {', '.join(SITUATIONS)}")  # fmt: skip
    parser.add_argument("--seconds", type=int, default=5, help="of each recording")
    parser.add_argument("--folder", type=Path, default=Path("profiles"))
    arguments = parser.parse_args()
    if shutil.which("py-spy") is None:
        print("py-spy is not installed: pip install py-spy, or use the extra dev of mesh", file=sys.stderr)
        return 1
    arguments.folder.mkdir(exist_ok=True)
    try:
        for situation in arguments.only:
            if situation != "handle_call" and not wrk.is_installed():
                print(f"{situation} not run: {wrk.MISSING}", file=sys.stderr)
                continue
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(profile(situation, arguments.folder, arguments.seconds))
    except NotPermitted as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        mesh.shutdown(drain=False)
    print(f"flame graphs and collapsed stacks: {arguments.folder}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
