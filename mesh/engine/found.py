"""The engine of a mesh that another process has started: waiting for its end, and ending it."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.engine.owner import END_LIMIT_S
from mesh.engine.places import LivingMesh, is_alive

DRAIN_LIMIT_S = 65.0
"""A little more than an engine that was told to drain gives its processes."""


class FoundEngine:
    """An engine by what it has published. This user's, or nothing can be done about it."""

    def __init__(self, mesh: LivingMesh) -> None:
        self._mesh = mesh

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until it has ended; False when ``timeout_s`` passed before."""
        with self._process() as descriptor:
            return descriptor is None or _is_over(descriptor, timeout_s)

    def stop(self, drain: bool) -> None:
        """Ends it with all its processes and waits for that; ``drain`` lets them finish what they have begun first."""
        with self._process() as descriptor:
            if descriptor is None:
                return
            steps = ((signal.SIGTERM, DRAIN_LIMIT_S), (signal.SIGQUIT, END_LIMIT_S), (signal.SIGKILL, None))
            for number, limit_s in steps if drain else steps[1:]:
                signal.pidfd_send_signal(descriptor, number)
                if _is_over(descriptor, limit_s):
                    return

    @contextmanager
    def _process(self) -> Iterator[int | None]:
        """A descriptor that means this process and no later one of its number; None when it has ended."""
        try:
            descriptor = os.pidfd_open(self._mesh.engine_pid)
        except ProcessLookupError:
            yield None
            return
        try:
            yield descriptor if is_alive(self._mesh.run_directory) else None
        finally:
            os.close(descriptor)


def _is_over(descriptor: int, timeout_s: float | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
