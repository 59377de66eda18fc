"""``meshctl run``: deploy a node and keep it running until somebody says stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Never

import typer


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: end, but let the replicas finish what they have begun."""


def run(
    import_path: Annotated[str, typer.Argument(metavar="MODULE:NODE", help="What to run, such as shop:graph.")],
    app_dir: Annotated[Path, typer.Option(help="Folder to import the module from.")] = Path(),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "localhost",
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0 = any free one.")] = 8000,
    name: Annotated[str, typer.Option(help="Name of the application.")] = "default",
    route_prefix: Annotated[str, typer.Option(help="HTTP path that the application answers at.")] = "/",
) -> None:
    """Deploy a node, say where it answers, and run it until Ctrl-C (at once) or SIGTERM (ends what has begun)."""
    from mesh.cli.import_path import load_node

    node = load_node(import_path, app_dir)

    import mesh

    with _signals_raise():
        try:
            mesh.start(http_options=mesh.HTTPOptions(host=host, port=port))
            mesh.run(node, name=name, route_prefix=route_prefix)
            typer.echo(mesh.status().url)
            while True:
                signal.pause()
        except Terminated:
            mesh.shutdown()
        except KeyboardInterrupt:
            pass


@contextmanager
def _signals_raise() -> Iterator[None]:
    """SIGINT and SIGTERM become exceptions, also when the shell had SIGINT ignored for a command in the background."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, _raise_terminated),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_terminated(number: int, frame: FrameType | None) -> Never:
    raise Terminated
