"""``meshctl logs``: what the processes of a mesh have printed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose

BRIDGE = "bridge"
"""All of them: one alone is "bridge-2", say."""

LOOK_AGAIN_S = 0.1


def logs(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A deployment, a replica (Model#3f2a9c), or controller, bridge, door or engine; default: all replicas",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.", show_default=False)] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines of each process.")] = 100,
    mesh: MeshOption = None,
) -> None:
    """Show what replicas have printed and logged, each line after the replica that it comes from.

    Example: meshctl logs Prices -f
    """
    choose(mesh)
    from mesh import meshes
    from mesh.errors import DeploymentNotFound

    used = meshes.to_ask()
    folder = Path(used.living.run_directory, "logs")
    logs = chosen(folder, name)
    if not logs and name is not None:
        there = ", ".join(sorted({log.stem.partition("#")[0] for log in folder.glob("*.log")}))
        raise DeploymentNotFound(f"no process of the name {name!r} has printed anything; there are: {there}")
    tails = {log: Tail(log, lines) for log in logs}
    try:
        for tail in tails.values():
            tail.print_new()
        if follow:
            _follow(folder, name, tails, lambda: used.is_alive)
    except KeyboardInterrupt:
        return
    finally:
        for tail in tails.values():
            tail.close()


def chosen(folder: Path, name: str | None) -> list[Path]:
    """The logs of a deployment's replicas, of one process, of all bridges, or of all replicas; the oldest first."""
    found = [log for log in folder.glob("*.log") if _is_meant(log.stem, name)]
    return sorted(found, key=lambda log: (log.stat().st_mtime, log.name))


def _is_meant(process_id: str, name: str | None) -> bool:
    deployment, is_replica, _ = process_id.partition("#")
    if name is None:
        return bool(is_replica)
    return name in (process_id, deployment) or (name == BRIDGE and not is_replica and name == process_id.split("-")[0])


class Tail:
    """One log from its last lines on. A log that is full is begun anew by its writer; what was in it is then read."""

    def __init__(self, path: Path, last_lines: int | None) -> None:
        self._path = path
        self._last_lines = last_lines
        self._file = path.open("rb")

    def print_new(self) -> None:
        """Print the lines that have come since the last time."""
        new = self._file.read().splitlines()
        if self._is_replaced():
            new += self._file.read().splitlines()  # what came between the two looks
            self._file.close()
            self._file = self._path.open("rb")
            new += self._file.read().splitlines()
        if self._last_lines is not None:
            new = list(deque(new, self._last_lines))
            self._last_lines = None
        for line in new:
            print(f"({self._path.stem}) {line.decode(errors='replace')}", flush=True)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _is_replaced(self) -> bool:
        try:
            return os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except FileNotFoundError:
            return False


def _follow(folder: Path, name: str | None, tails: dict[Path, Tail], goes_on: Callable[[], bool]) -> None:
    """Until the end of the mesh; replicas that are new are followed, too."""
    while goes_on():
        with suppress(FileNotFoundError):  # a log was removed while it was looked at
            for log in chosen(folder, name):
                if log not in tails:
                    tails[log] = Tail(log, None)
        for tail in tails.values():
            tail.print_new()
        time.sleep(LOOK_AGAIN_S)
