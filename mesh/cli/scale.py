"""``meshctl scale``: more replicas, or fewer."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose


def scale(
    deployment: Annotated[
        str, typer.Argument(help="Name of the deployment, or application/deployment.", show_default=False)
    ],
    num_replicas: Annotated[int, typer.Argument(metavar="REPLICAS", help="How many.", show_default=False)],
    mesh: MeshOption = None,
) -> None:
    """Change the number of replicas of one deployment; returns when they run. Replicas that stay are not restarted.

    Example: meshctl scale Prices 4
    """
    choose(mesh)
    from mesh import deploying, meshes
    from mesh.cli.progress import shown_progress
    from mesh.lookup import find_deployment

    used = meshes.to_ask()
    application, spec = find_deployment(used.ask(used.connection.client.applications()), deployment)
    with shown_progress(application.name) as on_progress:
        deploying.scale(used, application.name, spec.name, num_replicas, on_progress)
    print(f"{spec.name} has {num_replicas} replica{'' if num_replicas == 1 else 's'}")
