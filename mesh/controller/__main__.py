"""The process of the controller: store, launcher, controller, server, and the socket that clients find.

The role "mesh.controller.__main__:main" of the engine. It can touch no user code: what it handles are bytes with a
SHA-256.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from mesh.client import LARGEST_MESSAGE_BYTES
from mesh.clock import SystemClock
from mesh.controller.controller import Controller, Posted
from mesh.controller.events import Ended
from mesh.controller.inbox import Inbox
from mesh.controller.server import ControllerServicer
from mesh.controller.store import Store, StoreTaken, StoreUnusable
from mesh.engine.child import Child
from mesh.engine.launcher import EngineLauncher
from mesh.loops import new_loop
from mesh.token import TokenInterceptor
from mesh.v1 import controller_pb2_grpc

PINGS = (
    # A process that is stopped keeps its connections. gRPC answers a ping in a thread of its own, whatever the user's
    # code holds, the interpreter's lock included, so what answers none is no longer there for anybody.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.ping_timeout_ms", 5000),  # what holds where both are; it would be a minute
    ("grpc.http2.max_pings_without_data", 0),
)
"""The line of a replica whose process is stopped ends within ten seconds."""

FATAL = 3
"""The exit code that tells the engine that another try would end the same way."""


def main(child: Child) -> int:
    """Runs until SIGTERM has been obeyed: all replicas drained; 3 when the store is another's, or of no use."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            runner.run(_serve(child))
        except (StoreTaken, StoreUnusable) as error:
            print(error, file=sys.stderr)  # noqa: T201 - a process's last words
            return FATAL
    return 0


async def _serve(child: Child) -> None:
    assert child.engine_socket is not None, "the engine gives the controller a line to itself"
    clock = SystemClock()
    inbox: Inbox[Posted] = Inbox()

    def on_exit(process_id: str, pid: int, status: int) -> None:
        inbox.post(Ended(process_id, f"(pid {pid}) {describe_exit(status)}"))

    store = await Store.open(_store_folder(child.run_directory))
    try:
        async with EngineLauncher(child.engine_socket, on_exit) as launcher:
            controller = Controller(store, launcher, clock, inbox, child.run_directory, _gpus())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, controller.stop)
            await controller.start(is_first=child.incarnation == 1)
            servicer = ControllerServicer(controller, clock)
            async with serving(servicer, child.run_directory, child.token, child.incarnation):
                await controller.run()
    finally:
        await store.close()


def _store_folder(run_directory: str) -> Path:
    """Where the store really is: for a detached mesh a link leads to it."""
    return Path(run_directory, "store").resolve()


@asynccontextmanager
async def serving(
    servicer: ControllerServicer, run_directory: str, token: str, incarnation: int
) -> AsyncGenerator[None, None]:
    """The server on a socket of this incarnation's own; ``controller.sock`` leads to it once it is bound."""
    options = (
        ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
        ("grpc.max_send_message_length", LARGEST_MESSAGE_BYTES),
        *PINGS,
    )
    server = grpc.aio.server(interceptors=(TokenInterceptor(token),), options=options)
    controller_pb2_grpc.add_ControllerServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    socket = f"controller-{incarnation}.sock"
    server.add_insecure_port(f"unix:{run_directory}/{socket}")
    await server.start()
    publish_socket(Path(run_directory), socket)
    try:
        yield
    finally:
        await server.stop(None)


def publish_socket(run_directory: Path, socket: str) -> None:
    """Lets ``controller.sock`` lead to this socket, in one step, and removes those of dead controllers."""
    link = run_directory / "controller.link"
    link.unlink(missing_ok=True)
    link.symlink_to(socket)
    link.replace(run_directory / "controller.sock")
    for path in run_directory.glob("controller-*.sock"):
        if path.name != socket:
            path.unlink()


def describe_exit(status: int) -> str:
    """What an exit status says, such as "was ended by SIGKILL"."""
    if status >= 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _gpus() -> tuple[str, ...]:
    """The devices that this machine offers, or the part of them that the owner's environment allows."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return tuple(device for device in allowed.split(",") if device)
    return tuple(str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*")))))


if __name__ == "__main__":
    sys.exit("the controller is started by the engine of a mesh; start one with mesh.run or `meshctl run module:node`")
