"""The engine's one loop: keeps controller, bridges and door running, does what the controller asks, ends when told to.

``selectors`` over a socketpair, the pipes of all output, the owner's death and the wake-up of signals. No asyncio, no
gRPC, no thread: this process forks.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable
from functools import partial

from mesh.engine.child import PORT_TAKEN, Child
from mesh.engine.controller_line import ControllerLine
from mesh.engine.output import Log, Outlet
from mesh.engine.places import RunDirectory
from mesh.engine.roles import (
    CONTROLLER,
    DOOR,
    Listening,
    Role,
    bridge_names,
    bridge_seed,
    controller_seed,
    door_seed,
)
from mesh.engine.start import StartOrder
from mesh.engine.tree import Ended, Seed, Tree
from mesh.v1 import engine_pb2 as pb

FATAL_EXIT = 3
"""With this exit code the controller says that starting it again is no use."""

PUBLIC_DRAIN_S = 22.0
"""Seconds after which bridges and door are ended that have not; by themselves they cut off what takes 20."""

LAST_FLUSH_S = 1.0
"""Seconds that the owner may take for the last lines of output."""


class Supervisor:
    """One mesh, from its first process to its last."""

    def __init__(
        self,
        order: StartOrder,
        run_directory: RunDirectory,
        listening: Listening,
        deaths: tuple[int, ...],
        outlet: Outlet | None,
    ) -> None:
        self._order = order
        self._run_directory = run_directory
        self._listening = listening
        self._outlet = outlet
        self._log = Log(run_directory.path / "logs" / "engine.log")
        self._selector = selectors.DefaultSelector()
        self._tree = Tree(self._selector, run_directory.path / "logs", deaths, outlet)
        self._line: ControllerLine | None = None
        self._roles = {CONTROLLER: Role(self._start_controller)}
        for number, name in enumerate(bridge_names(order.bridges) if order.http else ()):
            self._roles[name] = Role(partial(self._start_bridge, number))
        if order.grpc_port is not None:
            self._roles[DOOR] = Role(self._start_door)
        self._draining = False
        self._drain_limits: list[tuple[float, Callable[[], None]]] = []
        self._over = False
        self._exit_code = 0
        self._wake_up = self._catch_signals()

    def start_controller(self) -> None:
        """Starts the controller; raises OSError when the system refuses. :meth:`run` starts bridge and door."""
        self._start_role(self._roles[CONTROLLER])

    def run(self, owner_line: socket.socket) -> int:
        """Runs until the mesh has ended; returns the exit code. Nothing of the mesh is left then."""
        if not self._order.detached:
            self._selector.register(owner_line, selectors.EVENT_READ, self._end)  # the owner writes nothing: it is gone
            self._selector.register(self._order.owner_death, selectors.EVENT_READ, self._end)
        try:
            while not self._over:
                for key, _ in self._selector.select(self._seconds_to_next_due()):
                    key.data()
                self._do_what_is_due()
                self._flush()
        finally:
            self._tree.end()
            self._flush_last()
            self._run_directory.remove()
        return self._exit_code

    def say(self, text: str) -> None:
        """A line of the engine itself in the output."""
        self._log.write(f"{text}\n".encode())
        if self._outlet is not None:
            self._outlet.write(f"(engine) {text}\n".encode())

    # Roles

    def _start_role(self, role: Role) -> None:
        role.incarnation += 1
        role.due_s = None
        role.start(role.incarnation)

    def _start_controller(self, incarnation: int) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._tree.start(controller_seed(self._order, self._run_directory, incarnation, theirs))
        self._line = ControllerLine(self._selector, ours, self._on_request)

    def _start_bridge(self, number: int, incarnation: int) -> None:
        self._tree.start(bridge_seed(self._order, self._run_directory, self._listening, number, incarnation))

    def _start_door(self, incarnation: int) -> None:
        self._tree.start(door_seed(self._order, self._run_directory, self._listening, incarnation))

    def _on_role_ended(self, role: Role, ended: Ended) -> None:
        if ended.process_id == CONTROLLER and self._line is not None:
            self._line.close()
            self._line = None
        if self._draining:
            self._drain_on(ended.process_id)
        elif ended.process_id == CONTROLLER and ended.status == FATAL_EXIT:
            self.say("the controller cannot run; the mesh ends")
            self._exit_code = FATAL_EXIT
            self._end()
        else:
            role.backoff, delay_s = role.backoff.after_end(ended.lived_s)
            role.due_s = time.monotonic() + delay_s
            self._say_ended(role, ended, delay_s)

    def _say_ended(self, role: Role, ended: Ended, delay_s: float) -> None:
        if ended.status != PORT_TAKEN:
            role.complaint = ""
            self.say(f"{ended.process_id} ended, starts again: pid={ended.pid} status={ended.status} in_s={delay_s:g}")
        elif not role.complaint:  # said once: it may stay like this for long
            port = self._listening.door_port
            role.complaint = f"{ended.process_id} waits for its port: another program has taken {port}"
            self.say(f"{role.complaint}; it listens there as soon as that lets go")

    # The controller's requests

    def _on_request(self, request: pb.EngineRequest) -> None:
        match request.WhichOneof("request"):
            case "launch":
                self._tell(pb.EngineEvent(launched=self._launch(request.launch)))
            case "kill":
                if request.kill.process_id not in self._roles:
                    self._tree.kill(request.kill.process_id)
            case "list":
                replicas = [(name, pid) for name, pid in self._tree.pids.items() if name not in self._roles]
                processes = [pb.Launched(process_id=name, pid=pid) for name, pid in replicas]
                self._tell(pb.EngineEvent(listed=pb.Listed(processes=processes)))

    def _launch(self, launch: pb.Launch) -> pb.Launched:
        name = launch.process_id
        if error := self._why_not(name):
            return pb.Launched(process_id=name, error=error)
        child = Child(
            process_id=name,
            incarnation=1,
            argument=launch.argument,
            run_directory=str(self._run_directory.path),
            token=self._run_directory.token,
        )
        seed = Seed(child, launch.role, launch.title, launch.output_prefix, launch.executable, dict(launch.environment))
        try:
            return pb.Launched(process_id=name, pid=self._tree.start(seed))
        except OSError as error:
            return pb.Launched(process_id=name, error=f"cannot start a process: {error}")

    def _why_not(self, process_id: str) -> str:
        if self._draining:
            return "the mesh is being stopped"
        if not process_id or "/" in process_id or process_id in self._roles:
            return f"{process_id!r} cannot be the id of a replica"
        if process_id in self._tree:
            return f"{process_id} runs already"
        return ""

    def _tell(self, event: pb.EngineEvent) -> None:
        if self._line is not None:
            self._line.send(event)

    # Signals and ends

    def _catch_signals(self) -> socket.socket:
        reading, writing = socket.socketpair()
        for end in (reading, writing):
            end.setblocking(False)
        self._signal_end = writing  # kept open: the interpreter writes to its number
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._selector.register(reading, selectors.EVENT_READ, self._on_signals)
        return reading

    def _on_signals(self) -> None:
        numbers = set(self._wake_up.recv(4096))
        if signal.SIGCHLD in numbers:
            for ended in self._tree.reap():
                self._on_ended(ended)
        if signal.SIGQUIT in numbers or (signal.SIGTERM in numbers and self._draining):
            self._end()
        elif signal.SIGTERM in numbers:
            self._drain()

    def _on_ended(self, ended: Ended) -> None:
        if ended.process_id in self._roles:
            self._on_role_ended(self._roles[ended.process_id], ended)
        else:
            exit_ = pb.Exit(process_id=ended.process_id, pid=ended.pid, status=ended.status)
            self._tell(pb.EngineEvent(exit=exit_))

    def _end(self) -> None:
        self._over = True

    def _drain(self) -> None:
        """Bridges and door end the requests they hold, then the controller drains the replicas, then all is over."""
        self._draining = True
        for role in self._roles.values():
            role.due_s = None
        self._listening.close()
        now_s = time.monotonic()
        self._drain_limits = [(now_s + self._order.drain_limit_s, self._end)]
        for name in self._public():
            self._tree.signal(name, signal.SIGTERM)
            self._drain_limits.append((now_s + PUBLIC_DRAIN_S, partial(self._tree.kill, name)))
        if not self._public():
            self._drain_on("")

    def _drain_on(self, ended: str) -> None:
        if self._public():
            return
        if CONTROLLER not in self._tree:
            self._end()
        elif ended != CONTROLLER:
            self._tree.signal(CONTROLLER, signal.SIGTERM)

    def _public(self) -> list[str]:
        """The processes that hold requests of clients and run still."""
        return [name for name in self._roles if name != CONTROLLER and name in self._tree]

    # Time and output

    def _seconds_to_next_due(self) -> float | None:
        dues = [role.due_s for role in self._roles.values() if role.due_s is not None]
        dues += [limit_s for limit_s, _ in self._drain_limits]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _do_what_is_due(self) -> None:
        now_s = time.monotonic()
        for name, role in self._roles.items():
            if role.due_s is not None and role.due_s <= now_s:
                try:
                    self._start_role(role)
                except OSError as error:
                    role.backoff, delay_s = role.backoff.after_end(0.0)
                    role.due_s = now_s + delay_s
                    self.say(f"{name} cannot be started: {error} in_s={delay_s:g}")
        due = [act for limit_s, act in self._drain_limits if limit_s <= now_s]
        self._drain_limits = [(limit_s, act) for limit_s, act in self._drain_limits if limit_s > now_s]
        for act in due:
            act()

    def _flush(self) -> None:
        if self._outlet is None:
            return
        self._outlet.flush()
        registered = self._outlet.descriptor in self._selector.get_map()
        if self._outlet.has_waiting and not registered:
            self._selector.register(self._outlet.descriptor, selectors.EVENT_WRITE, lambda: None)
        elif registered and not self._outlet.has_waiting:
            self._selector.unregister(self._outlet.descriptor)

    def _flush_last(self) -> None:
        limit_s = time.monotonic() + LAST_FLUSH_S
        while self._outlet is not None and self._outlet.has_waiting and time.monotonic() < limit_s:
            with selectors.DefaultSelector() as selector:
                selector.register(self._outlet.descriptor, selectors.EVENT_WRITE)
                selector.select(limit_s - time.monotonic())
            self._outlet.flush()
