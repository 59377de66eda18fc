"""An owner for tests of the engine: starts one, tells the test, does what its second argument says."""

from __future__ import annotations

import json
import signal
import sys

from mesh.engine.owner import EngineOptions, start_engine
from tests.services.engine_roles import report


def main() -> None:
    """``engine_owner.py <JSON of EngineOptions> wait|end|fail|exit``."""
    roles = {
        "controller_role": "tests.services.engine_roles:controller",
        "bridge_role": "tests.services.engine_roles:bridge",
    }
    engine = start_engine(EngineOptions(**{"port": 0, **roles, **json.loads(sys.argv[1])}))
    report("owner", engine=engine.pid, run_directory=engine.run_directory, port=engine.port)
    if sys.argv[2] == "wait":
        signal.pause()
    if sys.argv[2] == "fail":
        raise RuntimeError("the script fails")


if __name__ == "__main__":
    main()
