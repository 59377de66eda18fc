"""A script whose engine is killed: what becomes of its calls, and whether it can start anew."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

import mesh
from tests.services.worker import Worker


def main() -> None:
    """``bereaved_owner.py <path of the journal>``: prints a line for each call."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    worker = mesh.run(Worker.bind(sys.argv[1]))
    held = worker.work.remote("held", 60)
    worker.work.remote("after it").result()
    os.kill(mesh.status().engine_pid, signal.SIGKILL)
    _tell(held.result)
    _tell(lambda: worker.work.remote("late").result(30))
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    worker = mesh.run(Worker.bind(sys.argv[1], version=2))
    _tell(worker.work.remote("anew").result)


def _tell(result: Callable[[], tuple[int, int]]) -> None:
    try:
        print(result()[0])
    except mesh.MeshError as error:
        print(type(error).__name__)


if __name__ == "__main__":
    main()
