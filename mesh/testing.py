"""Fakes for tests of mesh and of what is built on it: a clock that is told the time, a machine without processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from mesh.engine.launcher import LaunchFailed, OnExit
from mesh.v1 import engine_pb2 as pb


class FakeClock:
    """A :class:`mesh.clock.Clock` that stands still until it is advanced.

    >>> clock = FakeClock()
    >>> clock.advance(2.5)
    >>> clock.now_s()
    2.5
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """The moment it was last set to."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Lets so much time pass; it never goes back."""
        if seconds < 0:
            raise ValueError(f"a clock is advanced by at least 0 seconds, not by {seconds}")
        self._now_s += seconds


class FakeLauncher:
    """A :class:`mesh.engine.launcher.Launcher` whose processes exist in name only.

    ``requests`` holds every launch ever asked for. :meth:`end` ends a process as if it had exited; ``refusal``, when
    set, is the error of every launch. ``on_launch(request, pid)`` is called for each process that was started, so that
    a test can play the replica.
    """

    def __init__(
        self, on_exit: OnExit, on_launch: Callable[[pb.Launch, int], None] = lambda request, pid: None
    ) -> None:
        self.requests: list[pb.Launch] = []
        self.refusal = ""
        self._on_exit = on_exit
        self._on_launch = on_launch
        self._running: dict[str, int] = {}
        self._pids = count(1001)

    async def launch(self, request: pb.Launch) -> int:
        """Starts a process in name; returns its pid."""
        if request.process_id in self._running:
            raise LaunchFailed(f"{request.process_id} runs already")
        if self.refusal:
            raise LaunchFailed(self.refusal)
        pid = self._running[request.process_id] = next(self._pids)
        self.requests.append(request)
        self._on_launch(request, pid)
        return pid

    async def kill(self, process_id: str) -> None:
        """Ends a process as SIGKILL would; one that is gone already is no error."""
        self.end(process_id, -9)

    async def list(self) -> dict[str, int]:
        """The processes that run."""
        return dict(self._running)

    def end(self, process_id: str, status: int = 0) -> None:
        """The process exits with that code, or by the signal ``-status``."""
        if (pid := self._running.pop(process_id, None)) is not None:
            self._on_exit(process_id, pid, status)
