"""``meshctl shutdown``: the end of a detached mesh."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose


def shutdown(
    drain: Annotated[
        bool, typer.Option(" /--now", help="End at once, without waiting for what was begun.", show_default=False)
    ] = True,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what is deployed for the next mesh of its name.", show_default=False)
    ] = False,
    mesh: MeshOption = None,
) -> None:
    """End a detached mesh; its replicas finish what they have begun. What was deployed is forgotten, unless --keep.

    Example: meshctl shutdown
    """
    choose(mesh)
    from mesh import meshes
    from mesh.errors import MeshUnavailable

    ended = meshes.shutdown(drain, keep)
    if ended is None:
        raise MeshUnavailable("no detached mesh is running")
    print(f"mesh {ended.name} has ended")
