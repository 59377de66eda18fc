"""What a call costs when there is much beside it: deployments, handles, idle sessions.

Two meshes, each the child of an own process, take turns: one with little, one with much. Calls go to one deployment,
64 at a time; the figure is the CPU time of caller and replica for a call, and its baseline the same where there is one
of each. The last column of the table has all processes, so also what those beside it take when they are idle.

- **deployments**: so many, each with its replica, all called once, then one of them. A thousand would be a thousand
  processes and 9 GB, so these rows end at 100.
- **handles**: so many to one deployment, which the calls use in turn.
- **idle sessions**: so many routers in the caller, each with a session to the same replica that was used once, as if
  there were so many deployments; the calls use one of them. So the caller holds a thousand routers and a thousand open
  sessions, and the replica has a thousand callers, over real sockets and in two processes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection as Pipe
from time import process_time
from typing import Any

import mesh
from benchmarks.cpu import count_cpu, cpu_s
from benchmarks.deployments import Echo, deploy
from benchmarks.load import PAYLOAD, run_load
from benchmarks.rounds import Load, Plan, Side, interleave
from benchmarks.row import Row, rows, times_at_most
from mesh import connect
from mesh.connect import Connection
from mesh.loops import new_loop
from mesh.router.router import Router
from mesh.v1.endpoint_pb2 import EndpointSet

CONCURRENT = 64
UNIT = "CPU us of two"
"""The caller and the replica that is called."""
CASES = (
    ("deployments", (10, 100)),
    ("handles", (100, 1000)),
    ("idle sessions", (100, 1000)),
)
GROWTH = 1.1
"""What is taken for no growth: medians of the same thing differ by some per cent."""

Call = Callable[[], Awaitable[Any]]


async def measure(plan: Plan) -> AsyncIterator[Row]:
    """All rows."""
    for what, sizes in CASES:
        with beside(what, 1) as baseline:
            for size in sizes:
                with beside(what, size) as ours:
                    rounds = await interleave(plan, ours, baseline)
                units = {UNIT: times_at_most(GROWTH), "calls/s": None}
                for row in rows("scale", f"a call beside {size:,} {what}, and beside 1", rounds, units):
                    yield row


@mesh.deployment
class Holder:
    """Has many deployments run as one application."""

    def __init__(self, *_: mesh.DeploymentHandle) -> None: ...

    async def nothing(self) -> None: ...


@contextmanager
def beside(what: str, size: int) -> Iterator[Side]:
    """A mesh with so many of them in a process of its own; a side that puts load on it."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, what, size))
    process.start()
    there.close()

    async def side(for_s: float) -> Load:
        here.send(for_s)
        return Load(*await asyncio.to_thread(here.recv))

    try:
        here.recv()  # it is set up
        yield side
    finally:
        here.close()
        process.join(30)
        process.kill()


def _serve(pipe: Pipe, what: str, size: int) -> None:
    """Measure whenever the parent asks, until it hangs up."""
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_answer(pipe, what, size))
    except EOFError:
        pass
    finally:
        mesh.shutdown(drain=False)


async def _answer(pipe: Pipe, what: str, size: int) -> None:
    every, call = await _SET_UPS[what](size)
    await call()
    echo = next(d for d in mesh.status().applications[0].deployments if d.name in ("Echo", "Echo0"))
    replica = echo.replicas[0].pid
    pipe.send("ready")
    while True:
        for_s = await asyncio.to_thread(pipe.recv)
        for other in every:  # sessions that nobody has used for a minute are closed
            await other()
        tree_s = count_cpu()
        begin_s = process_time() + cpu_s(replica)
        load = await run_load(call, CONCURRENT, for_s)
        both_s = process_time() + cpu_s(replica) - begin_s
        pipe.send((load.requests, {**load.figures, UNIT: both_s / load.requests * 1e6}, tree_s()))


async def _deployments(size: int) -> tuple[list[Call], Call]:
    names = [f"Echo{index}" for index in range(size)]
    await deploy(Holder.bind(*(Echo.options(name=name).bind() for name in names)))
    every = [_caller(mesh.DeploymentHandle("default", name)) for name in names]
    return every, every[0]


async def _handles(size: int) -> tuple[list[Call], Call]:
    await deploy(Echo.bind())
    turns = cycle([mesh.DeploymentHandle("default", "Echo") for _ in range(size)])
    return [], lambda: next(turns).echo(PAYLOAD)


async def _idle_sessions(size: int) -> tuple[list[Call], Call]:
    await deploy(Echo.bind())
    connection = connect.default()
    assert connection is not None
    names = [f"Echo{index}" for index in range(size)]
    connection.run(_add_routers(connection, names))
    every = [_caller(mesh.DeploymentHandle("default", name)) for name in names]
    return every, every[0]


async def _add_routers(connection: Connection, names: list[str]) -> None:
    """Routers to the replica of Echo under other names. They watch nothing: the controller does not know them."""
    endpoint_set: EndpointSet = await anext(aiter(connection.client.watch_endpoints("default", "Echo")))
    for name in names:
        router = Router("default", name, connection._carry, connection._keep_time)
        router.apply(endpoint_set)
        connection._routers["default", name] = router


def _caller(handle: mesh.DeploymentHandle) -> Call:
    return lambda: handle.echo(PAYLOAD)


_SET_UPS = {"deployments": _deployments, "handles": _handles, "idle sessions": _idle_sessions}
