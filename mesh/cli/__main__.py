"""The entry of ``meshctl``: its commands, and how an error is told.

Only typer is imported here: ``meshctl --help`` has to be quick, and each command imports what it needs.
"""

from __future__ import annotations

import sys

import typer

from mesh.cli.graph import graph
from mesh.cli.run import run
from mesh.cli.status import status
from mesh.errors import MeshError

app = typer.Typer(
    name="meshctl",
    help="Serve deployments and graphs of deployments.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command()(status)
app.command()(graph)


def main() -> None:
    """Run the command of ``sys.argv``; exit code 0 = done, 1 = an error that was told, 2 = wrong usage."""
    try:
        app(prog_name="meshctl")
    except MeshError as error:
        typer.echo(f"meshctl: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
