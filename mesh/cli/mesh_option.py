"""The option by which commands are told which mesh is meant."""

from __future__ import annotations

import os
from typing import Annotated

import typer

MeshOption = Annotated[
    str | None,
    typer.Option(
        "--mesh",
        "--address",
        metavar="MESH",
        help="Which mesh: its name, its port or host:port, or a pid. Needed when several run.  [env: MESH_ADDRESS]",
        show_default=False,
    ),
]


def choose(mesh: str | None) -> None:
    """Let this whole process mean that mesh."""
    if mesh is not None:
        os.environ["MESH_ADDRESS"] = mesh
