"""``meshctl deploy``: applications onto a mesh that runs already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose

if TYPE_CHECKING:
    from mesh.cli.applications import Wanted
    from mesh.used_mesh import UsedMesh


def deploy(
    target: Annotated[str, typer.Argument(metavar="MODULE:NODE|FILE.yaml", help="What to deploy.", show_default=False)],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Arguments of a function that builds the node."),
    ] = None,
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the application.", show_default="default")] = None,
    route_prefix: Annotated[
        str | None, typer.Option(help="HTTP path that the application answers at.", show_default="/")
    ] = None,
    mesh: MeshOption = None,
) -> None:
    """Deploy a node, or all applications of a config file, to a detached mesh; others that it has stay as they are.

    An application of the same name is updated: new replicas first, then the old ones go. Returns when all run.

    Example: meshctl deploy shop.yaml
    """
    choose(mesh)
    from mesh import deploying, meshes
    from mesh.cli.applications import load
    from mesh.cli.progress import shown_progress

    wanted = load(target, arguments or (), app_dir, name, route_prefix)
    used = meshes.attach()
    check_against(used, wanted)
    for application in wanted.applications:
        with shown_progress(application.spec.name) as on_progress:
            deploying.deploy(used, application, on_progress)
        at = f" at {used.living.url}{application.spec.route_prefix}" if application.spec.route_prefix else ""
        print(f"{application.spec.name} is running{at}")


def check_against(used: UsedMesh, wanted: Wanted) -> None:
    """Nothing is begun that the mesh would refuse half way."""
    from mesh.errors import ConfigError
    from mesh.notices import show

    routes = {one.route_prefix: one.name for one in used.ask(used.connection.client.applications()) if one.route_prefix}
    names = {application.spec.name for application in wanted.applications}
    routes = {prefix: name for prefix, name in routes.items() if name not in names}
    for application in wanted.applications:
        prefix, name = application.spec.route_prefix, application.spec.name
        if prefix is not None and routes.setdefault(prefix, name) != name:
            raise ConfigError(
                f"application {name!r} cannot have the route prefix {prefix!r}: application {routes[prefix]!r} has it; "
                "nothing was deployed"
            )
    for options, port in (
        (wanted.http_options, used.living.port),
        (wanted.grpc_options, used.living.grpc_port),
    ):
        if options is not None and options.port not in (0, port or None):
            show(f"the mesh listens at port {port}; {options} counts where `meshctl run` starts a mesh")
