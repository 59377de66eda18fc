"""``meshctl status``: what is wished for and what is there, for people or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show the applications, deployments and replicas of the mesh that runs here; exit code 1 when there is none."""
    import mesh

    typer.echo(repr(mesh.status()))
