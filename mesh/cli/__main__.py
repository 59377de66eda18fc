"""The entry of ``meshctl``, and how an error is told."""

from __future__ import annotations

import os
import sys

from mesh.cli.interrupt import interrupt_ends_process
from mesh.errors import MeshError


def main() -> None:
    """Run the command of ``sys.argv``; exit code 0 = done, 1 = an error that was told, 2 = wrong usage."""
    with interrupt_ends_process():
        from mesh.cli.commands import app

        if "_MESHCTL_COMPLETE" in os.environ:  # a shell asks what could come next
            from typer.completion import completion_init  # type: ignore[attr-defined] # typer says nothing else

            completion_init()
    try:
        app(prog_name="meshctl")
    except MeshError as error:
        sys.stderr.write(f"meshctl: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
