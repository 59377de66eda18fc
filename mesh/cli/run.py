"""``meshctl run``: deploy, and keep it running until somebody says stop."""

from __future__ import annotations

import os
import select
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mesh.cli.signals import Terminated, signals_raise
from mesh.errors import MeshUnavailable

if TYPE_CHECKING:
    from mesh.application_status import MeshStatus
    from mesh.cli.applications import Wanted
    from mesh.listen_options import GRPCOptions, HTTPOptions


def run(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:NODE|FILE.yaml", help="What to run, such as shop:graph.", show_default=False),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Arguments of a function that builds the node."),
    ] = None,
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
    host: Annotated[str | None, typer.Option(help="Address to listen at.", show_default="localhost")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="HTTP port; 0 takes any free one.", show_default="8000")
    ] = None,
    bridges: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes that answer HTTP at that port.", show_default="1")
    ] = None,
    grpc_host: Annotated[
        str | None, typer.Option(help="Address that the gRPC door listens at.", show_default="127.0.0.1")
    ] = None,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, show_default="9000; with --port 0 any free one", help="gRPC port; 0 takes any free one."
        ),
    ] = None,
    grpc: Annotated[bool, typer.Option(" /--no-grpc", help="Open no gRPC door.", show_default=False)] = True,
    name: Annotated[str | None, typer.Option(help="Name of the application.", show_default="default")] = None,
    route_prefix: Annotated[
        str | None, typer.Option(help="HTTP path that the application answers at.", show_default="/")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Deploy again when a file in --app-dir changes.", show_default=False)
    ] = False,
) -> None:
    """Deploy a node or a config file, and stay until Ctrl-C (ends at once) or SIGTERM (ends what has begun).

    The mesh that it starts ends with it. Example: meshctl run shop:node --port 8080
    """
    with signals_raise() as raise_swallowed:
        try:
            from mesh import meshes

            def wanted_now() -> Wanted:
                return load(target, arguments or (), app_dir, name, route_prefix)

            with meshes.starting(attach=False) as start:
                from mesh.cli.applications import load

                wanted = wanted_now()
                raise_swallowed()
                http_options = _http_options(wanted, host, port, bridges)
                grpc_options = _grpc_options(wanted, grpc_host, grpc_port, http_options.port) if grpc else _no_door()
                start(http_options, grpc_options)
            _deploy(wanted)
            raise_swallowed()
            status = _status()
            typer.echo(_what_runs(status, [application.spec.name for application in wanted.applications]))
            if reload:
                from mesh.cli.reload import deploy_changes

                deploy_changes(target, app_dir, wanted, wanted_now, raise_swallowed)
            _wait_for_end_of(status.engine_pid)
        except Terminated:
            _end_mesh(drain=True)
        except KeyboardInterrupt:
            _end_mesh(drain=False)
        except BaseException:
            _end_mesh(drain=False)
            raise


def _http_options(wanted: Wanted, host: str | None, port: int | None, bridges: int | None) -> HTTPOptions:
    from mesh.listen_options import HTTPOptions

    given = {"host": host, "port": port, "bridges": bridges}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(wanted.http_options or HTTPOptions(), **changes)


def _grpc_options(wanted: Wanted, host: str | None, port: int | None, http_port: int) -> GRPCOptions:
    from mesh.listen_options import GRPCOptions

    file = wanted.grpc_options or GRPCOptions(port=9000 if http_port else 0)
    return GRPCOptions(file.host if host is None else host, file.port if port is None else port)


def _no_door() -> GRPCOptions:
    from mesh.listen_options import GRPCOptions

    return GRPCOptions(port=None)


def _deploy(wanted: Wanted) -> None:
    from mesh import deploying, meshes
    from mesh.cli.progress import shown_progress

    for application in wanted.applications:
        with shown_progress(application.spec.name) as on_progress:
            deploying.deploy(meshes.to_deploy_to(), application, on_progress)


def _status() -> MeshStatus:
    from mesh import api

    return api.status()


def _end_mesh(drain: bool) -> None:
    """A signal may have interrupted the import of ``mesh.meshes``; then there is no mesh, and no importing it again."""
    if "mesh.meshes" in sys.modules:
        from mesh import meshes

        meshes.end_own(drain)


def _what_runs(status: MeshStatus, names: list[str]) -> str:
    from mesh.cli.status import address

    lines = []
    for application in status.applications:
        if application.name not in names:
            continue
        prefix = application.route_prefix
        lines.append(f"{application.name} is running" + (f" at {address(status.url, prefix)}" if prefix else ""))
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
