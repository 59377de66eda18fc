"""``meshctl run``: deploy a node, and keep it running until somebody says stop."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from mesh.errors import MeshUnavailable

if TYPE_CHECKING:
    from mesh.application_status import MeshStatus


class Terminated(BaseException):
    """SIGTERM arrived: end, but let the replicas finish what they have begun."""


def run(
    import_path: Annotated[str, typer.Argument(metavar="MODULE:NODE", help="What to run, such as shop:graph.")],
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes any free one.")] = 8000,
    grpc_host: Annotated[str, typer.Option(help="Address that the gRPC door listens at.")] = "127.0.0.1",
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, show_default="9000; with --port 0 any free one", help="gRPC port; 0 takes any free one."
        ),
    ] = None,
    grpc: Annotated[bool, typer.Option(" /--no-grpc", help="Open no gRPC door.", show_default=False)] = True,
    name: Annotated[str, typer.Option(help="Name of the application.")] = "default",
    route_prefix: Annotated[str, typer.Option(help="HTTP path that the application answers at.")] = "/",
) -> None:
    """Deploy a node, say where it answers, and stay until Ctrl-C (ends at once) or SIGTERM (ends what has begun)."""
    with _signals_raise() as raise_swallowed:
        try:
            import mesh
            from mesh.cli.import_path import load_node

            node = load_node(import_path, app_dir)
            raise_swallowed()
            http_options = mesh.HTTPOptions(host=host, port=port)
            if grpc_port is None:
                grpc_port = 9000 if port else 0
            grpc_options = mesh.GRPCOptions(host=grpc_host, port=grpc_port if grpc else None)
            mesh.run(node, name=name, route_prefix=route_prefix, http_options=http_options, grpc_options=grpc_options)
            raise_swallowed()
            status = mesh.status()
            typer.echo(_what_runs(status, name))
            _wait_for_end_of(status.engine_pid)
        except Terminated:
            _end_mesh(drain=True)
        except KeyboardInterrupt:
            _end_mesh(drain=False)
        except BaseException:
            _end_mesh(drain=False)
            raise


def _end_mesh(drain: bool) -> None:
    """A signal may have interrupted the import of ``mesh.api``; then there is no mesh, and no importing it again."""
    if "mesh.api" in sys.modules:
        import mesh

        mesh.shutdown(drain=drain)


def _what_runs(status: MeshStatus, name: str) -> str:
    from mesh.cli.status import address

    (application,) = (one for one in status.applications if one.name == name)
    lines = [f"{name} is running at {address(status.url, application.route_prefix or '/')}"]
    for deployment in application.deployments:
        plural = "" if deployment.num_replicas == 1 else "s"
        lines.append(f"  {deployment.name}  {deployment.num_replicas} replica{plural}")
    if status.grpc_address:
        lines.append(f"gRPC clients: mesh.v1.PredictService at {status.grpc_address}")
    lines.append("Ctrl-C ends it.")
    return "\n".join(lines)


def _wait_for_end_of(engine_pid: int) -> NoReturn:
    poll = select.poll()
    try:
        descriptor = os.pidfd_open(engine_pid)
    except ProcessLookupError:
        pass
    else:
        poll.register(descriptor, select.POLLIN)
        poll.poll()  # a signal ends it with an exception
    raise MeshUnavailable(f"the engine (pid {engine_pid}) has ended, and all that it ran with it")


@contextmanager
def _signals_raise() -> Iterator[Callable[[], None]]:
    """SIGINT and SIGTERM become exceptions, also where a shell made a command in the background ignore SIGINT.

    Such an exception is lost when it comes up in a callback of Python's import system, or in an ``except`` of the
    user's module. What this gives raises it again.
    """
    arrived: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        arrived.append(number)
        raise _EXCEPTIONS[number]

    def raise_swallowed() -> None:
        if arrived:
            raise _EXCEPTIONS[arrived[0]]

    before = {number: signal.signal(number, on_signal) for number in _EXCEPTIONS}
    try:
        yield raise_swallowed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_EXCEPTIONS: Final[dict[int, type[BaseException]]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
