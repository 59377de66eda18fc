"""``meshctl graph``: what a node depends on, as text or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def graph(
    import_path: Annotated[str, typer.Argument(metavar="MODULE:NODE", help="The node to draw, such as shop:graph.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Picture to write (.svg, .png, .pdf ...; needs graphviz) or .dot text."),
    ] = None,
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
) -> None:
    """Draw a node and everything that it depends on; as text when no --output is given.

    Example: meshctl graph shop:graph -o graph.svg
    """
    from mesh.cli.import_path import load_node
    from mesh.dag import plot, to_dot

    node = load_node(import_path, app_dir)
    if output is None:
        typer.echo(to_dot(node).to_string(), nl=False)
    else:
        plot(node, to_file=str(output))
        typer.echo(f"wrote {output}")
