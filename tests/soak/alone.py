"""One soak in a process of its own, so that none sees what another has left, and its figures as they come."""

from __future__ import annotations

import importlib
import multiprocessing
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection

import mesh
from tests.soak.figure import Figure

SLACK_S = 180
"""What a soak may take beyond its seconds, to begin and to end."""


class SoakFailed(Exception):
    """A soak raised, ended or did not go on; the message has its traceback."""


def figures_of(name: str, seconds: float) -> Iterator[Figure]:
    """The figures of the soak in the module of that name. Raises :class:`SoakFailed`."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_run, args=(name, seconds, there))
    process.start()
    there.close()
    try:
        while True:
            if not here.poll(seconds + SLACK_S):
                raise SoakFailed(f"{name} gave no figure for {seconds + SLACK_S:g} s")
            try:
                message: Figure | str | None = here.recv()
            except EOFError:
                process.join(5)
                raise SoakFailed(f"{name} ended with exit code {process.exitcode}") from None
            if message is None:
                process.join(30)
                return
            if isinstance(message, str):
                raise SoakFailed(f"{name} failed:\n{message}")
            yield message
    finally:
        process.kill()  # the mesh that it started ends with it
        process.join()
        here.close()


def _run(name: str, seconds: float, pipe: Connection) -> None:
    try:
        for figure in importlib.import_module(f"tests.soak.{name}").main(seconds):
            pipe.send(figure)
    except BaseException:
        pipe.send(traceback.format_exc())
    else:
        pipe.send(None)
    finally:
        mesh.shutdown(drain=False)
