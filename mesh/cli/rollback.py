"""``meshctl rollback``: back to what ran before."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose


def rollback(
    application: Annotated[str, typer.Argument(help="Name of the application.")] = "default",
    mesh: MeshOption = None,
) -> None:
    """Bring an application back to what ran before it was deployed last; returns when that runs.

    After a deployment that failed it is what ran last. New replicas come first, as in any update.

    Example: meshctl rollback shop
    """
    choose(mesh)
    from mesh import deploying, meshes
    from mesh.cli.progress import shown_progress

    used = meshes.to_ask()
    used.check_may_deploy()
    with shown_progress(application) as on_progress:
        deploying.rollback(used, application, on_progress)
    print(f"{application} is back at what ran before")
