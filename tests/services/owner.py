"""A script that owns a mesh: runs a worker, says which mesh it is, works on, and waits to be killed."""

from __future__ import annotations

import json
import signal
import sys

import mesh
from tests.services.worker import Worker


def main() -> None:
    """``owner.py <path of the journal>``."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    worker = mesh.run(Worker.options(num_replicas=2).bind(sys.argv[1]))
    held = [worker.work.remote("long", 60), worker.work_on_turn.remote("long", 60)]
    status = mesh.status()
    print(json.dumps([status.engine_pid, status.run_directory, status.url, len(held)]), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
