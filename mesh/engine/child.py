"""A process of the mesh from its first act to its last: controller, bridge, door or replica, whatever its role does.

A role is a function ``main(child: Child) -> int`` named "module:function"; what it returns is the exit code.
"""

from __future__ import annotations

import atexit
import base64
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from setproctitle import setproctitle

from mesh.engine.death import end_with, tie_group_to

PORT_TAKEN = 4
"""With this exit code a role says that another program listens at its port; it is started again until it does not."""


@dataclass(frozen=True, slots=True)
class Child:
    """What a role is given.

    ``process_id`` is "controller", "bridge", "bridge-2", "door" or the replica_id; ``incarnation`` counts from 1 how
    often the engine started it. A replica's ``argument`` is a serialized ``mesh.v1.ReplicaLaunch``, those of bridges
    and door are JSON. A bridge has ``listeners``, bound and listening: the HTTP sockets of all bridges, and a unix
    socket of its own; the controller has ``engine_socket``, its line to the engine.
    """

    process_id: str
    incarnation: int
    argument: bytes
    run_directory: str
    token: str
    listeners: tuple[socket.socket, ...] = ()
    engine_socket: socket.socket | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """All that a new process starts from.

    ``output`` is the descriptor that its standard output and error go to, ``deaths`` are those of
    :func:`mesh.engine.death.end_with`, ``lifeline`` is that of :func:`~mesh.engine.death.tie_group_to`.
    """

    child: Child
    role: str
    title: str
    output: int
    deaths: tuple[int, ...]
    lifeline: int
    environment: Mapping[str, str]
    executable: str = ""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that belong to the process beside the standard three."""
        sockets = [listener.fileno() for listener in self.child.listeners]
        if self.child.engine_socket is not None:
            sockets.append(self.child.engine_socket.fileno())
        return (*sockets, *self.deaths, self.lifeline)


def live(birth: Birth) -> NoReturn:
    """The whole life of a process that was forked off the engine, all signals still blocked.

    The engine's objects stay alive in the frames below this one, so none of them ever closes a descriptor whose number
    meanwhile means something else; the process ends without returning to them. (``random`` seeds itself anew in every
    fork.)
    """
    code = 1
    try:
        take_standard_streams(birth.output)
        close_all_but(birth.descriptors)
        code = _run(birth)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def turn_into_spawned(birth: Birth, letter: int) -> NoReturn:
    """Replaces this fork of the engine by a fresh interpreter, which reads its birth from the file ``letter``."""
    try:
        take_standard_streams(birth.output)
        close_all_but((*birth.descriptors, letter))
        for descriptor in (*birth.descriptors, letter):
            os.set_inheritable(descriptor, True)
        _reset_signals()
        arguments = [birth.executable, "-P", "-m", "mesh.engine", "child", str(letter)]
        os.execve(birth.executable, arguments, {**os.environ, **birth.environment})  # noqa: S606 - no shell is wanted
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(127)


def live_spawned(letter: int) -> NoReturn:
    """The whole life of a process that :func:`turn_into_spawned` started."""
    code = 1
    try:
        birth = read_letter(letter)
        for descriptor in birth.descriptors:
            os.set_inheritable(descriptor, False)
        code = _run(birth)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def write_letter(birth: Birth) -> bytes:
    """The birth for a process that is not a fork; its descriptors keep their numbers."""
    child = birth.child
    letter = {
        "process_id": child.process_id,
        "incarnation": child.incarnation,
        "argument": base64.b64encode(child.argument).decode(),
        "run_directory": child.run_directory,
        "token": child.token,
        "listeners": [listener.fileno() for listener in child.listeners],
        "engine_socket": child.engine_socket.fileno() if child.engine_socket else -1,
        "role": birth.role,
        "title": birth.title,
        "deaths": birth.deaths,
        "lifeline": birth.lifeline,
    }
    return json.dumps(letter).encode()


def read_letter(descriptor: int) -> Birth:
    """What :func:`write_letter` wrote into the file behind ``descriptor``."""
    with os.fdopen(descriptor, "rb") as file:
        letter: dict[str, Any] = json.load(file)
    child = Child(
        process_id=letter["process_id"],
        incarnation=letter["incarnation"],
        argument=base64.b64decode(letter["argument"]),
        run_directory=letter["run_directory"],
        token=letter["token"],
        listeners=tuple(socket.socket(fileno=number) for number in letter["listeners"]),
        engine_socket=None if letter["engine_socket"] < 0 else socket.socket(fileno=letter["engine_socket"]),
    )
    return Birth(
        child=child,
        role=letter["role"],
        title=letter["title"],
        output=1,
        deaths=tuple(letter["deaths"]),
        lifeline=letter["lifeline"],
        environment={},
    )


def take_standard_streams(output: int) -> None:
    """Standard input is empty, standard output and error are ``output``."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def close_all_but(descriptors: Iterable[int]) -> None:
    """Closes every descriptor above the standard three that is not among them."""
    kept = {0, 1, 2, *descriptors}
    listing = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
    for descriptor in [int(name) for name in os.listdir(listing)]:
        if descriptor not in kept:
            with suppress(OSError):  # the descriptor of the listing itself is among them, closed already
                os.close(descriptor)


def find_role(role: str) -> Callable[[Child], int]:
    """The function that "module:function" names."""
    module, _, function = role.partition(":")
    found: Callable[[Child], int] = getattr(importlib.import_module(module), function)
    return found


def _run(birth: Birth) -> int:
    """Common to forked and spawned: become a process of its own, run the role, end in order."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    if birth.lifeline >= 0:
        tie_group_to(birth.lifeline)
        os.close(birth.lifeline)
    end_with(birth.deaths)
    setproctitle(birth.title)
    sys.argv = [birth.title]
    os.environ.update(birth.environment)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    _reset_signals()
    try:
        code = find_role(birth.role)(birth.child)
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return code


def _reset_signals() -> None:
    """As in a fresh interpreter: the engine blocked all signals, and its handlers wake a loop that is not ours."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    return 1
