"""The processes of one machine: forking them off this one, passing on their output, reaping them, ending them.

What should run is decided elsewhere (:mod:`mesh.engine.supervisor`); here are the means.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mesh.engine.child import Birth, Child, live, turn_into_spawned, write_letter
from mesh.engine.output import Log, Outlet, Output

MOST_OLD_LOGS = 100
"""Logs that are kept of processes that have ended."""

CAN_FORK = sys.platform == "linux"
"""On macOS a fork without exec is unsafe: system libraries start threads."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What to start. An ``executable`` that is empty or the engine's own means a fork, any other a fresh process."""

    child: Child
    role: str
    title: str
    output_prefix: str
    executable: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended: ``status`` is its exit code, or minus the signal that ended it."""

    process_id: str
    pid: int
    status: int
    lived_s: float


@dataclass(frozen=True, slots=True)
class _Running:
    process_id: str
    pid: int
    started_s: float
    output: Output


class Tree:
    """All processes that the engine started and that have not been reaped."""

    def __init__(
        self, selector: selectors.BaseSelector, logs: Path, deaths: tuple[int, ...], outlet: Outlet | None
    ) -> None:
        self._selector = selector
        self._logs = logs
        self._deaths = deaths
        self._outlet = outlet
        self._running: dict[str, _Running] = {}
        self._old_logs: deque[str] = deque()
        self._lifeline, self._lifeline_end = os.pipe()

    def __contains__(self, process_id: str) -> bool:
        return process_id in self._running

    @property
    def pids(self) -> dict[str, int]:
        """The processes by their ids."""
        return {process.process_id: process.pid for process in self._running.values()}

    def start(self, seed: Seed) -> int:
        """Starts a process under an id that is not in use; raises OSError when the system refuses."""
        process_id = seed.child.process_id
        assert process_id not in self._running, process_id
        fresh = not CAN_FORK or seed.executable not in ("", sys.executable)
        executable = (seed.executable or sys.executable) if fresh else ""
        if fresh and not os.access(executable, os.X_OK):
            raise FileNotFoundError(f"there is no interpreter at {executable!r}")
        log = Log(self._logs / f"{process_id}.log")
        reading, writing = os.pipe()
        birth = Birth(
            child=seed.child,
            role=seed.role,
            title=seed.title,
            output=writing,
            deaths=self._deaths,
            lifeline=self._lifeline,
            environment=seed.environment,
            executable=executable,
        )
        output = Output(reading, seed.output_prefix, log, self._outlet)
        try:
            pid = _spawn(birth) if fresh else _fork(lambda: live(birth))
        except OSError:
            output.close()
            raise
        finally:
            os.close(writing)
        self._running[process_id] = _Running(process_id, pid, time.monotonic(), output)
        self._selector.register(reading, selectors.EVENT_READ, lambda: self._read(process_id, output))
        return pid

    def signal(self, process_id: str, number: signal.Signals) -> None:
        """Sends a signal to a process, not to its group; to one that is gone, nothing happens."""
        if process_id in self._running:
            os.kill(self._running[process_id].pid, number)

    def kill(self, process_id: str) -> None:
        """Ends a process and its group at once; to one that is gone, nothing happens."""
        if process_id in self._running:
            _kill_group(self._running[process_id].pid)

    def reap(self) -> list[Ended]:
        """Takes leave of every process that has ended, and of what it left running in its group.

        The group is killed while the dead leader still holds its number, which nobody else can have been given.
        Orphans that were handed to the engine are reaped on the way.
        """
        ended = []
        by_pid = {process.pid: process for process in self._running.values()}
        while (dead := _next_dead()) is not None:
            if dead in by_pid:
                _kill_group(dead)
                ended.append(self._forget(by_pid[dead]))
            else:
                os.waitpid(dead, 0)
        return ended

    def end(self) -> None:
        """Kills and reaps everything, orphans included, and passes on what they still had written."""
        running = list(self._running.values())
        for process in running:
            _kill_group(process.pid)
        for process in running:
            self._forget(process)
        while orphans := list(_own_children()):
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        os.close(self._lifeline)
        os.close(self._lifeline_end)

    def _read(self, process_id: str, output: Output) -> None:
        process = self._running.get(process_id)
        if process is None or process.output is not output:
            return  # reaped, and closed, since the selector saw it
        if not output.read():
            self._selector.unregister(output.descriptor)

    def _forget(self, process: _Running) -> Ended:
        _, wait_status = os.waitpid(process.pid, 0)
        status = os.waitstatus_to_exitcode(wait_status)
        del self._running[process.process_id]
        with suppress(KeyError):  # its output may have ended before
            self._selector.unregister(process.output.descriptor)
        process.output.close()
        self._keep_log(process.process_id)
        return Ended(process.process_id, process.pid, status, time.monotonic() - process.started_s)

    def _keep_log(self, process_id: str) -> None:
        if process_id not in self._old_logs:
            self._old_logs.append(process_id)
        if len(self._old_logs) > MOST_OLD_LOGS:
            oldest = self._old_logs.popleft()
            if oldest not in self._running:  # a role that was started again still writes to its log
                for suffix in ("log", "log.1"):
                    (self._logs / f"{oldest}.{suffix}").unlink(missing_ok=True)


def _fork(life: Callable[[], object]) -> int:
    """The pid of a fork that lives ``life``, which never returns.

    Signals are blocked meanwhile: one that reaches the child before it has let go of the engine's wake-up descriptor
    would be taken for the engine's own.
    """
    assert_one_thread()
    before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            life()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with suppress(OSError):  # whoever comes first, child or parent; it fails when the child has called exec
        os.setpgid(pid, pid)
    return pid


def _spawn(birth: Birth) -> int:
    with tempfile.TemporaryFile(dir=birth.child.run_directory) as letter:
        letter.write(write_letter(birth))
        letter.seek(0)
        return _fork(lambda: turn_into_spawned(birth, letter.fileno()))


def assert_one_thread() -> None:
    """A fork copies one thread; the locks that others held at that moment would never be free again."""
    if sys.platform == "linux":
        threads = os.listdir("/proc/self/task")
        assert len(threads) == 1, f"{len(threads)} threads in the process that forks"


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _next_dead() -> int | None:
    """A child that has ended and waits to be reaped."""
    with suppress(ChildProcessError):
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found.si_pid if found else None
    return None


def _own_children() -> Iterator[int]:
    """Processes whose parent this one is; on Linux orphans of its descendants become such."""
    if sys.platform != "linux":
        return
    own = os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_text(errors="replace")
                if int(stat.rpartition(")")[2].split()[1]) == own:
                    yield int(name)


def adopt_orphans() -> None:
    """From now on descendants whose parent dies become children of this process instead of init's."""
    if sys.platform == "linux":
        import ctypes  # imported where it is used: nothing else of mesh needs it

        set_child_subreaper = 36
        ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0)
