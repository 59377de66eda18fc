"""The owner's side: starting an engine, showing what its processes print, ending it."""

from __future__ import annotations

import atexit
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mesh.engine import places
from mesh.engine.death import open_own_death
from mesh.engine.start import (
    BRIDGE_ROLE,
    CONTROLLER_ROLE,
    DOOR_ROLE,
    StartOrder,
    StartReport,
    receive_report,
    send,
)
from mesh.engine.state_directory import state_directory
from mesh.errors import ConfigError, MeshUnavailable

START_LIMIT_S = 60.0
"""Seconds that an engine may take until it says that it runs."""

END_LIMIT_S = 5.0
"""Seconds that an engine may take to end when it was told to end at once."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is started.

    ``port`` 0 takes any free one; "localhost" is 127.0.0.1 and, where there is one, ::1. A ``detached`` mesh outlives
    its owner, and has a ``name``. ``output`` takes the lines that the processes print (default: they go to
    ``sys.stderr``). HTTP is answered by that many ``bridges``.
    The door listens at ``grpc_host`` and ``grpc_port``; without a port there is none.
    ``drain_limit_s`` bounds a stop that drains. The roles are functions "module:function"; tests put their own there.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    detached: bool = False
    http: bool = True
    grpc_host: str = "127.0.0.1"
    grpc_port: int | None = None
    output: Callable[[bytes], None] | None = None
    drain_limit_s: float = 60.0
    controller_role: str = CONTROLLER_ROLE
    bridge_role: str = BRIDGE_ROLE
    door_role: str = DOOR_ROLE
    name: str = ""
    bridges: int = 1


class EngineProcess:
    """An engine that this process started, and all the processes below it."""

    def __init__(
        self,
        report: StartReport,
        process: subprocess.Popen[bytes],
        line: socket.socket,
        output: _OutputThread,
        drain_limit_s: float,
    ) -> None:
        self.run_directory = report.run_directory
        self.token = report.token
        self.pid = report.pid
        self.port = report.port
        self.grpc_port = report.grpc_port
        self._process = process
        self._line = line
        self._output = output
        self._drain_limit_s = drain_limit_s

    @property
    def alive(self) -> bool:
        """It has not ended, by whatever cause."""
        return not self.wait(0)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits until it has ended; False when ``timeout_s`` passed before."""
        if self._line.fileno() >= 0:
            poll = select.poll()
            poll.register(self._line, select.POLLIN)
            if not poll.poll(None if timeout_s is None else timeout_s * 1000):
                return False
            self._process.wait()
            self._output.join()
            self._line.close()
        return True

    def stop(self, drain: bool) -> None:
        """Ends it with all its processes and waits for that; ``drain`` lets them finish what they have begun first."""
        if self.wait(0):
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM if drain else signal.SIGQUIT)
        if not self.wait(END_LIMIT_S + (self._drain_limit_s if drain else 0.0)):
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.wait()


class BootedEngine:
    """An engine that imports what all processes of a mesh need and has no orders yet: it has touched nothing."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket, output: int, death: int) -> None:
        self._process = process
        self._line = line
        self._output = output
        self._death = death  # its number in the engine; here it is closed
        self._is_waiting = True

    @property
    def pid(self) -> int:
        """The process that was started; a detached mesh lives in another."""
        return self._process.pid

    def start(self, options: EngineOptions) -> EngineProcess:
        """Orders a mesh and waits until its ports are bound and its controller is started; it may not serve yet.

        Raises :class:`MeshUnavailable` when the port is busy or the engine does not come up, :class:`ConfigError` when
        host or port are impossible. Nothing is left running then. An attached engine ends with this process, at once.
        """
        assert self._is_waiting, "an engine runs one mesh"
        try:
            report = _agree(self._line, _order(options, self._death))
        except BaseException as error:
            if text := self._end():
                error.add_note(text)
            places.sweep()
            raise
        self._is_waiting = False
        if options.detached:
            self._process.wait()  # it has forked the engine off
        output = _OutputThread(self._output, options.output or _write_to_stderr, self._process)
        output.start()
        engine = EngineProcess(report, self._process, self._line, output, options.drain_limit_s)
        if not options.detached:
            _end_at_exit(engine)
        return engine

    def dismiss(self) -> None:
        """Ends it, unless it was given its orders."""
        if self._is_waiting:
            self._end()

    def _end(self) -> str:
        """Ends it and gives what it printed."""
        self._is_waiting = False
        self._process.kill()
        self._process.wait()
        self._line.close()
        return _read_rest(self._output)


def boot_engine() -> BootedEngine:
    """Starts an engine that waits for its orders. It ends with this process."""
    ours, theirs = socket.socketpair()
    death, _ = open_own_death()
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", "mesh.engine", "engine", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=(theirs.fileno(), death),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        os.close(reading)
        raise
    finally:
        theirs.close()
        os.close(writing)
        os.close(death)
    return BootedEngine(process, ours, reading, death)


def start_engine(options: EngineOptions) -> EngineProcess:
    """Boots an engine and gives it its orders; see :meth:`BootedEngine.start`."""
    return boot_engine().start(options)


def mesh_version() -> str:
    """The version of this installation of mesh."""
    from importlib import metadata  # takes longer than the rest of this module, so not before the engine boots

    return metadata.version("mesh")


def _order(options: EngineOptions, death: int) -> StartOrder:
    return StartOrder(
        owner_pid=os.getpid(),
        owner_death=-1 if options.detached else death,
        script=_script(),
        version=mesh_version(),
        host=options.host,
        port=options.port,
        detached=options.detached,
        http=options.http,
        grpc_host=options.grpc_host,
        grpc_port=options.grpc_port,
        drain_limit_s=options.drain_limit_s,
        controller_role=options.controller_role,
        bridge_role=options.bridge_role,
        door_role=options.door_role,
        name=options.name,
        bridges=options.bridges,
        state_directory=str(state_directory(options.name)) if options.name else "",
    )


def _agree(line: socket.socket, order: StartOrder) -> StartReport:
    line.settimeout(START_LIMIT_S)
    try:
        send(line, order)
        report = receive_report(line)
    except TimeoutError as error:
        raise MeshUnavailable(f"the engine said nothing for {START_LIMIT_S:g} s") from error
    except (EOFError, OSError) as error:
        raise MeshUnavailable("the engine ended while it started") from error
    if report.error:
        raise ConfigError(report.error) if report.is_config_error else MeshUnavailable(report.error)
    line.settimeout(None)
    return report


def _read_rest(output: int) -> str:
    """What a dead engine printed."""
    os.set_blocking(output, False)
    with open(output, "rb", buffering=0) as pipe:
        return (pipe.read(65536) or b"").decode(errors="replace")


def _script() -> str:
    """How people know this process: its script's path, the command that was typed, or what stands for one."""
    name = sys.argv[0] if sys.argv else ""
    if Path(name).name == "meshctl":
        return shlex.join(["meshctl", *sys.argv[1:]])
    if name in ("", "-"):
        return "an interactive session"
    return "python -c" if name == "-c" else str(Path(name).absolute())


def _end_at_exit(engine: EngineProcess) -> None:
    """The end of the script ends the mesh; waiting for it lets the last lines of output through."""
    owner_pid = os.getpid()

    def end() -> None:
        if os.getpid() == owner_pid:  # not in a fork of the owner, which inherits this
            with suppress(KeyboardInterrupt):  # who is in a hurry does not wait for the last lines
                engine.stop(drain=False)

    atexit.register(end)


def _write_to_stderr(lines: bytes) -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # closed, or gone
            sys.stderr.write(lines.decode(errors="replace"))
            sys.stderr.flush()


class _OutputThread(threading.Thread):
    """Takes the output of all processes from the engine's pipe; a terminal that blocks blocks this thread alone."""

    def __init__(self, descriptor: int, write: Callable[[bytes], None], process: subprocess.Popen[bytes]) -> None:
        super().__init__(name="mesh-output", daemon=True)
        self._descriptor = descriptor
        self._write = write
        self._process = process

    def run(self) -> None:
        """Until the engine has ended, or has let go of the pipe; then it is reaped, whether somebody asks or not."""
        with open(self._descriptor, "rb", buffering=0) as pipe:
            while piece := pipe.read(65536):
                self._write(piece)
        self._process.wait()

    def join(self, timeout: float | None = 2.0) -> None:
        """Waits for the last line; not for ever, since the terminal may be blocked."""
        super().join(timeout)
