"""Who is left when something dies: the table of docs/decisions/001-process-tree.md, row by row."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from mesh.engine.places import RunDirectory, living
from tests.integration.engine.conftest import Reports, Watched
from tests.services.engine_roles import REPLICAS

LIMIT_S = 2.0
"""Seconds after which nothing may be left of a mesh that has to end."""

KINDS = ("idle", "numpy", "with_program", "with_daemon", "holding_the_lock", "deaf")
MESH = {"engine", "controller", "bridge", *KINDS, "program", "daemon"}
ALL = {"owner", *MESH}


class World:
    """An owner in a terminal of its own, its mesh, and a watch on each process."""

    def __init__(self, reports: Reports, *, detached: bool) -> None:
        self.reports = reports
        self.terminal, self.owner = _start_owner({"detached": detached})
        started = reports.next("owner")
        self.run_directory = Path(started["run_directory"])
        self.port: int = started["port"]
        pids = {"owner": self.owner.pid, "engine": started["engine"]}
        pids |= {role: reports.next(role)["pid"] for role in ("controller", "bridge")}
        for kind in KINDS:
            replica = reports.next(kind)
            pids[kind] = replica["pid"]
            if kind.startswith("with_"):
                pids[kind.removeprefix("with_")] = replica["program"]
        self.watched = {name: Watched(pid) for name, pid in pids.items()}

    def kill(self, *names: str) -> None:
        """kill -9."""
        for name in names:
            os.kill(self.watched[name].pid, signal.SIGKILL)

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.watched[name].pid, number)

    def close_terminal(self) -> None:
        self.terminal.close()

    def press_ctrl_c(self) -> None:
        self.terminal.write(b"\x03")

    def freeze_engine_and_kill_owner(self) -> None:
        """Nobody kills the others: each has to notice by itself."""
        self.signal("engine", signal.SIGSTOP)
        self.kill("owner")

    def ask_bridge(self) -> int:
        """The incarnation of the bridge that answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S) as line:
            return int(line.recv(100))

    def ended(self) -> set[str]:
        return {name for name, process in self.watched.items() if process.has_ended()}

    def close(self) -> None:
        for process in self.watched.values():
            process.close()
        self.owner.wait()
        self.terminal.close()


def _start_owner(options: dict[str, object]) -> tuple[IO[bytes], subprocess.Popen[bytes]]:
    """An owner whose controlling terminal is new."""
    ours, theirs = os.openpty()
    script = Path(__file__).parents[2] / "services" / "engine_owner.py"
    owner = subprocess.Popen(
        [sys.executable, str(script), json.dumps(options), "wait"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    return open(ours, "wb", buffering=0), owner


@pytest.fixture
def start(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], World]]:
    monkeypatch.setenv(REPLICAS, json.dumps({kind: {"role": kind} for kind in KINDS}))
    worlds: list[World] = []

    def start(detached: bool) -> World:
        worlds.append(World(reports, detached=detached))
        return worlds[-1]

    yield start
    for world in worlds:
        world.close()


@dataclass(frozen=True)
class Row:
    """What is done, who is left of those who were there, and which role is started again."""

    detached: bool
    what: str
    act: Callable[[World], None]
    left: set[str]
    again: str = ""
    files_left: bool = False

    @property
    def mesh_lives(self) -> bool:
        return {"engine", "controller", "bridge"} <= self.left | {self.again}

    def __str__(self) -> str:
        return f"{'detached' if self.detached else 'attached'}: {self.what}"


def _kill(*names: str) -> Callable[[World], None]:
    return lambda world: world.kill(*names)


ROWS = [
    Row(False, "kill -9 of the owner", _kill("owner"), set()),
    Row(False, "Ctrl-C", World.press_ctrl_c, set()),
    Row(False, "terminal closed", World.close_terminal, set()),
    Row(False, "SIGTERM to the owner", lambda world: world.signal("owner", signal.SIGTERM), set()),
    Row(False, "kill -9 of the engine", _kill("engine"), {"owner", "daemon"}, files_left=True),
    Row(False, "kill -9 of owner and engine", _kill("owner", "engine"), {"daemon"}, files_left=True),
    Row(
        False,
        "kill -9 of the owner, engine stopped",
        World.freeze_engine_and_kill_owner,
        {"engine", "daemon", "holding_the_lock"},
        files_left=True,
    ),
    Row(False, "SIGTERM to the engine", lambda world: world.signal("engine", signal.SIGTERM), {"owner"}),
    Row(False, "kill -9 of the controller", _kill("controller"), ALL - {"controller"}, again="controller"),
    Row(False, "kill -9 of the bridge", _kill("bridge"), ALL - {"bridge"}, again="bridge"),
    Row(False, "kill -9 of a replica", _kill("idle"), ALL - {"idle"}),
    Row(False, "kill -9 of a replica with a program", _kill("with_program"), ALL - {"with_program", "program"}),
    Row(True, "kill -9 of the owner", _kill("owner"), MESH),
    Row(True, "Ctrl-C", World.press_ctrl_c, MESH),
    Row(True, "terminal closed", World.close_terminal, MESH),
    Row(True, "kill -9 of the engine", _kill("engine"), {"owner", "daemon"}, files_left=True),
    Row(True, "SIGTERM to the engine", lambda world: world.signal("engine", signal.SIGTERM), {"owner"}),
    Row(True, "kill -9 of the controller", _kill("controller"), ALL - {"controller"}, again="controller"),
    Row(True, "kill -9 of the bridge", _kill("bridge"), ALL - {"bridge"}, again="bridge"),
    Row(True, "kill -9 of a replica", _kill("idle"), ALL - {"idle"}),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_is_left(start: Callable[[bool], World], reports: Reports, row: Row) -> None:
    world = start(row.detached)

    row.act(world)

    late = {name for name in ALL - row.left if not world.watched[name].has_ended(LIMIT_S)}
    assert not late
    if row.again == "controller":
        again = reports.next("controller", incarnation=2)
        assert again["listed"] == {kind: world.watched[kind].pid for kind in KINDS}
        world.watched["controller again"] = Watched(again["pid"])
    if row.again == "bridge":
        world.watched["bridge again"] = Watched(reports.next("bridge", incarnation=2)["pid"])
    if row.mesh_lives:
        _check_that_the_mesh_lives_and_drains(world, row)
    else:
        _check_what_is_left(world, row)


def _check_what_is_left(world: World, row: Row) -> None:
    assert world.ended() == ALL - row.left
    assert world.run_directory.exists() == row.files_left
    if "engine" not in row.left:
        RunDirectory.create().remove()
        assert not world.run_directory.exists(), "the next start sweeps what was left"


def _check_that_the_mesh_lives_and_drains(world: World, row: Row) -> None:
    for replica in set(KINDS) - row.left:
        assert world.reports.next("exit", process_id=replica)["status"] == -signal.SIGKILL
    assert world.ask_bridge() == (2 if row.again == "bridge" else 1)
    assert [mesh.engine_pid for mesh in living()] == [world.watched["engine"].pid]
    assert world.ended() == ALL - row.left

    world.signal("engine", signal.SIGTERM)

    world.reports.next("drained")
    late = {name for name, process in world.watched.items() if name != "owner" and not process.has_ended(LIMIT_S)}
    assert not late
    assert not world.run_directory.exists()
    assert living() == []
