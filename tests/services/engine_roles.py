"""Roles for tests of the engine: a controller that does what a file of orders says, a bridge, replicas of all kinds."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from mesh.engine.child import Child
from mesh.engine.launcher import EngineLauncher, LaunchFailed
from mesh.v1 import engine_pb2 as pb

REPLICAS = "MESH_TEST_REPLICAS"
"""Environment variable: JSON of process_id -> the function below that the replica runs."""


def controller(child: Child) -> int:
    """Takes over what runs, launches what is missing, kills nothing; SIGTERM ends it with 0."""
    return asyncio.run(_control(child))


async def _control(child: Child) -> int:
    assert child.engine_socket is not None
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    exits: list[tuple[str, int, int]] = []
    report = Path(child.run_directory) / f"controller-{child.incarnation}.json"
    async with EngineLauncher(child.engine_socket, lambda *exit_: exits.append(exit_)) as launcher:
        listed = await launcher.list()
        errors = {}
        for process_id, role in json.loads(os.environ.get(REPLICAS, "{}")).items():
            if process_id not in listed:
                try:
                    await launcher.launch(
                        pb.Launch(
                            process_id=process_id,
                            role=f"{__name__}:{role}",
                            title=f"mesh: replica {process_id}",
                            output_prefix=f"({process_id})",
                        )
                    )
                except LaunchFailed as error:
                    errors[process_id] = str(error)
        present = {"listed": listed, "running": await launcher.list(), "errors": errors, "pid": os.getpid()}
        draft = report.with_suffix(".draft")
        draft.write_text(json.dumps(present))
        draft.replace(report)
        await told.wait()
    print("controller drained", flush=True)
    return 0


def fatal_controller(child: Child) -> int:
    """A controller that must not be started again."""
    print("the store is held by another controller", file=sys.stderr)
    return 3


def falling_controller(child: Child) -> int:
    """A controller that ends at once, whenever it is started."""
    print(f"incarnation {child.incarnation}")
    return 1


def bridge(child: Child) -> int:
    """Answers every connection with its pid and incarnation."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    listener = child.listeners[0]
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(f"{os.getpid()} {child.incarnation}".encode())


def idle(child: Child) -> int:
    """A replica that waits for its end."""
    print(f"{child.process_id} is up", flush=True)
    signal.pause()
    return 0


def numpy(child: Child) -> int:
    """A replica whose user code brings threads: the BLAS of numpy starts them."""
    import numpy

    assert (numpy.ones((300, 300)) @ numpy.ones((300, 300))).sum() > 0
    print(f"numpy {numpy.__version__} in {child.process_id}", flush=True)
    signal.pause()
    return 0


def with_subprocess(child: Child) -> int:
    """A replica whose user code started a program."""
    subprocess.Popen(["sleep", "1000"])
    signal.pause()
    return 0


def with_daemon(child: Child) -> int:
    """A replica whose user code started a program in a session of its own, whose parent then ended."""
    subprocess.run(["sh", "-c", "setsid sleep 1000 &"], check=True)
    signal.pause()
    return 0


def holding_the_lock(child: Child) -> int:
    """A replica that holds the interpreter lock: no other thread of it runs any more."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return 0


def ignoring_signals(child: Child) -> int:
    """A replica that cannot be asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1000)
