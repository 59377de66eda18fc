"""A controller that dies at a drawn point of what it does: before or after a write, a launch or a kill.

The role "tests.services.dying_controller:main" of an engine. While there is a file at ``$MESH_TEST_DEATH``, which holds
a number, so many points are passed and the next one is its death; the file is removed first, so it dies once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

from mesh.controller.__main__ import main as serve
from mesh.controller.store import Store
from mesh.engine.child import Child
from mesh.engine.launcher import EngineLauncher

VARIABLE = "MESH_TEST_DEATH"


def main(child: Child) -> int:
    """The controller as it is, but that each of these calls has a point before it and one behind it."""
    death = Path(os.environ[VARIABLE])
    passed = count()

    def point() -> None:
        if death.exists() and next(passed) == int(death.read_text()):
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in ((Store, "save"), (EngineLauncher, "launch"), (EngineLauncher, "kill")):
        setattr(owner, name, _between(point, getattr(owner, name)))
    return serve(child)


def _between(point: Callable[[], None], call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def between(*args: Any) -> Any:
        point()
        try:
            return await call(*args)
        finally:
            point()

    return between
