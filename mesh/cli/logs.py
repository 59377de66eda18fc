"""``meshctl logs``: what the processes of a mesh have printed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from mesh.cli.mesh_option import MeshOption, choose
from mesh.engine.output import Lines

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
    """One process's log from its last lines on, the older part included that its writer has set aside."""

    def __init__(self, path: Path, last_lines: int | None) -> None:
        self._path = path
        self._older_path = Path(f"{path}.1")
        self._last_lines = last_lines
        self._lines = Lines()
        try:
            self._file: BinaryIO = self._older_path.open("rb")
        except FileNotFoundError:
            self._file = path.open("rb")

    def print_new(self) -> None:
        """Print the lines that have come since the last time."""
        new = self._lines.feed(self._file.read())
        while (following := self._following()) is not None:
            new += self._lines.feed(self._file.read())  # what came between the two looks
            self._file.close()
            self._file = following
            new += self._lines.feed(self._file.read())
        if self._last_lines is not None:
            new = list(deque(new, self._last_lines))
            self._last_lines = None
        for line in new:
            print(f"({self._path.stem}) {line[:-1].decode(errors='replace')}", flush=True)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _following(self) -> BinaryIO | None:
        """The file that was begun when this one was full, opened; None while this is the one that is written."""
        with suppress(FileNotFoundError):  # it is being set aside, or has gone with the mesh
            current = self._path.open("rb")
            if self._is_read(current):
                current.close()
                return None
            try:
                older = self._older_path.open("rb")
            except FileNotFoundError:
                return current
            if self._is_read(older):
                older.close()
                return current
            current.close()
            return older  # the writer was fast: it has filled another one meanwhile
        return None

    def _is_read(self, file: BinaryIO) -> bool:
        return os.path.sameopenfile(file.fileno(), self._file.fileno())


def _follow(folder: Path, name: str | None, tails: dict[Path, Tail], goes_on: Callable[[], bool]) -> None:
    """Until the end of the mesh; replicas that are new are followed, too."""
    is_over = False
    while not is_over:
        is_over = not goes_on()  # asked first: what was said last is shown as well
        with suppress(FileNotFoundError):  # a log was removed while it was looked at
            for log in chosen(folder, name):
                if log not in tails:
                    tails[log] = Tail(log, None)
        for tail in tails.values():
            tail.print_new()
        if not is_over:
            time.sleep(LOOK_AGAIN_S)
