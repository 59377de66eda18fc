"""``meshctl delete``: an application goes."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose


def delete(
    application: Annotated[str, typer.Argument(help="Name of the application.", show_default=False)],
    mesh: MeshOption = None,
) -> None:
    """Take an application away; returns when its replicas have ended what they had begun.

    Example: meshctl delete default
    """
    choose(mesh)
    from mesh import api

    api.delete(application)
    print(f"{application} is gone")
