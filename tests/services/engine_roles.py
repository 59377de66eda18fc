"""Roles for tests of the engine: a controller that launches what the environment names, a bridge, many replicas.

Each says what it has become by a line of JSON to the test's socket, so that a test waits for facts.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from mesh.engine.child import PORT_TAKEN, Child
from mesh.engine.launcher import EngineLauncher, LaunchFailed
from mesh.v1 import engine_pb2 as pb

REPLICAS = "MESH_TEST_REPLICAS"
"""Environment variable: JSON of process_id -> what of the Launch differs from a replica that is idle."""

REPORTS = "MESH_TEST_REPORTS"
"""Environment variable: the path of the unix socket to which reports go."""


def report(who: str, **facts: Any) -> None:
    """Tells the test."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ[REPORTS])
        line.sendall(json.dumps({"who": who, "pid": os.getpid(), **facts}).encode())


def controller(child: Child) -> int:
    """Takes over what runs, launches what is missing; SIGTERM ends it with 0."""
    return asyncio.run(_control(child))


async def _control(child: Child) -> int:
    assert child.engine_socket is not None
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)

    def on_exit(process_id: str, pid: int, status: int) -> None:
        report("exit", process_id=process_id, ended_pid=pid, status=status)

    async with EngineLauncher(child.engine_socket, on_exit) as launcher:
        listed = await launcher.list()
        wanted = json.loads(os.environ.get(REPLICAS, "{}")).items()
        errors = {name: await _try(launcher, name, changes) for name, changes in wanted if name not in listed}
        report("controller", incarnation=child.incarnation, listed=listed, errors=errors)
        await told.wait()
        report("drained", too_late=await _try(launcher, "too#late", {}))
    return 0


async def _try(launcher: EngineLauncher, process_id: str, changes: dict[str, Any]) -> str:
    """Launches a replica; returns why it cannot be, or an empty text."""
    try:
        await launcher.launch(_launch(process_id, changes))
    except LaunchFailed as error:
        return str(error)
    return ""


def _launch(process_id: str, changes: dict[str, Any]) -> pb.Launch:
    settings = {"role": "idle", "title": f"mesh: replica {process_id}", "output_prefix": f"({process_id})", **changes}
    settings["role"] = f"{__name__}:{settings['role']}"
    settings["argument"] = settings.get("argument", "").encode()
    return pb.Launch(process_id=process_id, **settings)


def fatal_controller(child: Child) -> int:
    """A controller that must not be started again."""
    print("the store is held by another controller", file=sys.stderr)
    return 3


def falling_controller(child: Child) -> int:
    """A controller that falls three times, then stays."""
    report("controller", incarnation=child.incarnation)
    if child.incarnation <= 3:
        raise RuntimeError(f"incarnation {child.incarnation} falls")
    signal.pause()
    return 0


def deaf_controller(child: Child) -> int:
    """A controller that cannot be drained."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report("controller", incarnation=child.incarnation)
    while True:
        signal.pause()


def bridge(child: Child) -> int:
    """Answers every connection with its incarnation; SIGTERM ends it."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    report("bridge", incarnation=child.incarnation, argument=json.loads(child.argument))
    with selectors.DefaultSelector() as selector:
        for listener in child.listeners:
            listener.setblocking(False)  # several bridges are woken up, and one of them gets the connection
            selector.register(listener, selectors.EVENT_READ, listener)
        while True:
            for key, _ in selector.select():
                with suppress(BlockingIOError), key.data.accept()[0] as connection:
                    connection.sendall(b"%d" % child.incarnation)


def portless_door(child: Child) -> int:
    """A door whose port somebody else has taken, three times."""
    report("door", incarnation=child.incarnation)
    if child.incarnation <= 3:
        return PORT_TAKEN
    signal.pause()
    return 0


def idle(child: Child) -> int:
    """A replica that waits for its end."""
    report(child.process_id)
    signal.pause()
    return 0


def curious(child: Child) -> int:
    """A replica that says what it finds around itself."""
    report(
        child.process_id,
        argument=child.argument.decode(),
        token=child.token,
        run_directory=child.run_directory,
        incarnation=child.incarnation,
        executable=sys.executable,
        main_name=sys.modules["__main__"].__spec__.name,  # type: ignore[union-attr]
        path=sys.path,
        title=Path("/proc/self/cmdline").read_text().rstrip("\0 "),
        colour=os.environ.get("COLOUR"),
        group=os.getpgrp(),
        blocked=[int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        handlers={name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGTERM", "SIGCHLD", "SIGHUP")},
        descriptors=[os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name)],
    )
    signal.pause()
    return 0


def _is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def printing(child: Child) -> int:
    """A replica that prints in all ways, then fails."""
    print("to standard output")
    print("to standard error", file=sys.stderr)
    os.write(1, b"without newline")
    print(" ends here \N{SNOWMAN}")
    raise ValueError("the user's error")


def chatty(child: Child) -> int:
    """A replica that prints more than anybody reads."""
    for _ in range(100):
        os.write(1, b"x" * 65535 + b"\n")
    report(child.process_id)
    signal.pause()
    return 0


def numpy(child: Child) -> int:
    """A replica whose user code brings threads: the BLAS of numpy starts them."""
    import numpy

    assert (numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum() > 0
    report(child.process_id)
    signal.pause()
    return 0


def with_program(child: Child) -> int:
    """A replica whose user code started a program."""
    program = subprocess.Popen(["sleep", "1000"])
    report(child.process_id, program=program.pid)
    signal.pause()
    return 0


def with_daemon(child: Child) -> int:
    """A replica whose user code started a program in a session of its own, whose parent then ended."""
    script = "setsid sh -c 'echo $$; exec sleep 1000 >/dev/null 2>&1' &"
    daemon = subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    report(child.process_id, program=int(daemon.stdout))
    signal.pause()
    return 0


def holding_the_lock(child: Child) -> int:
    """A replica that holds the interpreter lock: no other thread of it runs any more."""
    report(child.process_id)
    re.match(r"(a+)+$", "a" * 64 + "b")
    return 0


def deaf(child: Child) -> int:
    """A replica that cannot be asked to end, and with a thread that would keep an interpreter from ending."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=threading.Event().wait).start()
    report(child.process_id)
    while True:
        signal.pause()


def leaving(child: Child) -> int:
    """A replica that ends by itself, though a thread of its user's code goes on."""
    threading.Thread(target=threading.Event().wait).start()
    return 7
