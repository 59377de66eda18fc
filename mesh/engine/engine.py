"""The engine's process: from the owner's order to its own end."""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
from collections.abc import Callable

from setproctitle import setproctitle

from mesh.engine import listeners
from mesh.engine.child import close_all_but
from mesh.engine.death import open_own_death
from mesh.engine.output import Outlet
from mesh.engine.places import LivingMesh, RunDirectory, living
from mesh.engine.roles import Listening, bridge_names
from mesh.engine.start import StartOrder, StartReport, receive_order, send
from mesh.engine.supervisor import Supervisor
from mesh.engine.tree import CAN_FORK, adopt_orphans, assert_one_thread
from mesh.errors import ConfigError, MeshError, MeshUnavailable

PRELOADED_FOR_CONTROLLER = (
    "google.protobuf.message",
    "grpc.aio",
    "sqlite3",
    "uvloop",
    "mesh.controller.__main__",
)
"""What is imported before the order comes: the controller is forked first, and starts while the rest is imported."""

PRELOADED = (
    "cloudpickle",
    "httptools",
    "starlette.requests",
    "starlette.responses",
    "uvicorn",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.auto",
    "sidecar.__main__",
    "http_bridge.__main__",
    "mesh.door.__main__",
)
"""What all other forks find imported beside it: bridge, door, every replica, and a controller that is started again.

It is the union of what they need, so that a fork imports nothing, and shares with the others the memory of what it
does not need. Never a user's module, and nothing that starts a thread at its import, as numpy does.
"""


def run_engine(line_descriptor: int) -> int:
    """Runs a mesh to its end, as ordered by the socket behind ``line_descriptor``; returns the exit code."""
    line = socket.socket(fileno=line_descriptor)
    line.set_inheritable(False)
    _preload(PRELOADED_FOR_CONTROLLER)
    order = receive_order(line)
    if order.detached:
        if os.fork():
            os._exit(0)  # the owner may live long and would have to reap the engine
        os.setsid()  # the session that the first process made went with it
    setproctitle("mesh: engine")
    close_all_but((line.fileno(), order.owner_death))
    try:
        supervisor, report = _start(order)
    except (MeshError, OSError) as error:
        send(line, StartReport(error=str(error), is_config_error=isinstance(error, ConfigError)))
        return 1
    send(line, report)
    if order.detached:
        _let_go_of_terminal()
    _preload(PRELOADED)
    return supervisor.run(line)


def _start(order: StartOrder) -> tuple[Supervisor, StartReport]:
    bound = _bind(listeners.bind, order.host, order.port) if order.http else ()
    kept = (
        ()
        if order.grpc_port is None
        else _bind(listeners.reserve, order.grpc_host, order.grpc_port, "another port for gRPC, or none")
    )
    port, grpc_port = (sockets[0].getsockname()[1] if sockets else 0 for sockets in (bound, kept))
    run_directory = RunDirectory.create(order.state_directory)
    try:
        adopt_orphans()
        death, _ = open_own_death()
        owner_deaths = () if order.detached else (order.owner_death,)
        outlet = None if order.detached else Outlet(os.dup(1))
        lines = [listeners.open_line(run_directory.line(name)) for name in bridge_names(order.bridges if bound else 0)]
        places = Listening(bound, tuple(lines), kept, grpc_port)
        supervisor = Supervisor(order, run_directory, places, (death, *owner_deaths), outlet)
        supervisor.start_controller()
        run_directory.publish(
            LivingMesh(
                pid=order.owner_pid,
                script=order.script,
                host=order.host,
                port=port,
                run_directory=str(run_directory.path),
                version=order.version,
                engine_pid=os.getpid(),
                detached=order.detached,
                grpc_host=order.grpc_host if grpc_port else "",
                grpc_port=grpc_port,
                name=order.name,
                state_directory=order.state_directory,
                bridges=len(lines),
            )
        )
    except BaseException:
        run_directory.remove()
        raise
    path, token = str(run_directory.path), run_directory.token
    return supervisor, StartReport(run_directory=path, token=token, pid=os.getpid(), port=port, grpc_port=grpc_port)


def _bind(
    bind: Callable[[str, int], tuple[socket.socket, ...]], host: str, port: int, choice: str = "another port"
) -> tuple[socket.socket, ...]:
    try:
        return bind(host, port)
    except MeshUnavailable as error:
        for mesh in living():
            if port in (mesh.port, mesh.grpc_port):
                raise MeshUnavailable(_taken_by(mesh, port, choice)) from error
        raise MeshUnavailable(f"{error}: another program listens there; choose {choice}") from error


def _taken_by(mesh: LivingMesh, port: int, choice: str) -> str:
    if mesh.detached:
        return (
            f"port {port} is busy: the detached mesh {mesh.name!r} (pid {mesh.engine_pid}) listens there; "
            f"deploy to it with `meshctl deploy`, end it with `meshctl shutdown`, or choose {choice}"
        )
    return (
        f"port {port} is busy: another mesh listens there, started by {mesh.script} (pid {mesh.pid}); "
        f"end it, or choose {choice}"
    )


def _preload(modules: tuple[str, ...]) -> None:
    """Imports what forks need. A module that cannot be imported is left to its role, which then says why."""
    gc.disable()  # what is imported stays; looking for garbage in between takes a tenth of the time
    for module in modules if CAN_FORK else ():
        try:
            importlib.import_module(module)
        except ImportError as error:
            sys.stderr.write(f"(engine) cannot import {module}: {error}\n")
    assert_one_thread()
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise touch, and so copy, every page
    gc.enable()


def _let_go_of_terminal() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
