"""``meshctl build``: a config file from code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build(
    import_path: Annotated[
        str, typer.Argument(metavar="MODULE:NODE", help="What it is to deploy.", show_default=False)
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Arguments of a function that builds the node."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: print it.")] = None,
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
    name: Annotated[str, typer.Option(help="Name of the application.")] = "default",
    route_prefix: Annotated[str, typer.Option(help="HTTP path that the application answers at.")] = "/",
) -> None:
    """Write the config file of a node, with every deployment and its settings; nothing is deployed.

    Example: meshctl build shop:node -o shop.yaml
    """
    from mesh.cli.applications import load
    from mesh.config_files.writing import to_yaml

    wanted = load(import_path, arguments or (), app_dir, name, route_prefix)
    text = to_yaml([application.spec for application in wanted.applications])
    if output is None:
        print(text, end="")
    else:
        output.write_text(text)
        print(f"wrote {output}")
