"""``python -m mesh.engine engine <descriptor>`` is the engine, ``child <descriptor>`` a process that is no fork of it.

Started by :mod:`mesh.engine.owner` and :mod:`mesh.engine.tree`, never by hand: the descriptor is inherited.
"""

from __future__ import annotations

import os
import sys

from setproctitle import getproctitle


def main() -> int:
    """Reads the arguments and the environment; nobody below does."""
    getproctitle()  # finds the arguments in memory, which it no longer could once the environment has moved
    os.environ["GRPC_VERBOSITY"] = "NONE"
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    what, descriptor = sys.argv[1], int(sys.argv[2])
    if what == "child":
        from mesh.engine.child import live_spawned

        live_spawned(descriptor)
    from mesh.engine.engine import run_engine

    return run_engine(descriptor)


if __name__ == "__main__":
    sys.exit(main())
