"""What a process finds around itself when its role begins, forked or spawned."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mesh.engine.owner import EngineOptions, EngineProcess, start_engine
from mesh.engine.places import read_token
from tests.integration.engine.conftest import Reports
from tests.services.engine_roles import REPLICAS

CONTROLLER = "tests.services.engine_roles:controller"

Start = Callable[[dict[str, object]], EngineProcess]


@pytest.fixture
def printed() -> list[bytes]:
    """What the processes of the engine print."""
    return []


@pytest.fixture
def start(place: Path, monkeypatch: pytest.MonkeyPatch, printed: list[bytes]) -> Iterator[Start]:
    """Starts an engine with these replicas and without HTTP."""
    engines: list[EngineProcess] = []

    def start(replicas: dict[str, object]) -> EngineProcess:
        monkeypatch.setenv(REPLICAS, json.dumps(replicas))
        options = EngineOptions(http=False, controller_role=CONTROLLER, output=printed.append)
        engines.append(start_engine(options))
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop(drain=False)


@pytest.fixture
def other_interpreter(place: Path) -> str:
    """An interpreter at another path than the engine's; it finds the same packages."""
    script = place / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    script.chmod(0o755)
    return str(script)


@pytest.mark.parametrize("spawned", [False, True], ids=["a fork", "another interpreter"])
def test_a_role_finds_a_clean_process(start: Start, reports: Reports, other_interpreter: str, spawned: bool) -> None:
    launch = {
        "role": "curious",
        "argument": "launch",
        "title": "mesh: replica Model#1",
        "environment": {"COLOUR": "blue"},
        "executable": other_interpreter if spawned else sys.executable,
    }

    engine = start({"Model#1": launch})

    found = reports.next("Model#1")
    assert found["argument"] == "launch"
    assert found["token"] == engine.token == read_token(engine.run_directory)
    assert found["run_directory"] == engine.run_directory
    assert found["incarnation"] == 1
    assert found["title"] == "mesh: replica Model#1"
    assert found["colour"] == "blue"
    assert found["group"] == found["pid"], "it leads a group of its own"
    assert found["main_name"] == "mesh.engine.__main__"
    assert "" not in found["path"], "nothing is imported from the working directory by accident"
    assert found["blocked"] == []
    default = str(signal.Handlers.SIG_DFL)
    assert found["handlers"] == {"SIGTERM": default, "SIGCHLD": default, "SIGHUP": default}


@pytest.mark.parametrize("spawned", [False, True], ids=["a fork", "another interpreter"])
def test_a_role_finds_no_descriptor_of_others(
    start: Start, reports: Reports, other_interpreter: str, spawned: bool
) -> None:
    executable = other_interpreter if spawned else ""
    start({"A#1": {"role": "idle"}, "B#2": {"role": "curious", "executable": executable}})

    descriptors = sorted(name.split(":")[0] for name in reports.next("B#2")["descriptors"])

    standard = ["/dev/null", "pipe", "pipe"]
    deaths = ["anon_inode", "anon_inode"]
    lifeline = ["pipe"]
    report = ["socket"]
    assert [name for name in descriptors if "/proc" not in name] in (
        sorted(standard + deaths + lifeline),
        sorted(standard + deaths + lifeline + report),
    )


def test_the_token_is_on_no_command_line_and_in_no_environment(
    start: Start, reports: Reports, other_interpreter: str
) -> None:
    engine = start({"A#1": {"executable": other_interpreter}})

    pid = reports.next("A#1")["pid"]

    for holder in (pid, engine.pid):
        for name in ("cmdline", "environ"):
            assert engine.token.encode() not in Path(f"/proc/{holder}/{name}").read_bytes()


def test_output_comes_line_by_line_with_prefix_and_is_kept_in_a_log(
    start: Start, reports: Reports, printed: list[bytes]
) -> None:
    engine = start({"Model#1": {"role": "printing", "output_prefix": "(Model#1)"}})

    assert reports.next("exit", process_id="Model#1")["status"] == 1
    log = (Path(engine.run_directory) / "logs" / "Model#1.log").read_text()
    engine.stop(drain=False)

    assert log.startswith("to standard output\nto standard error\nwithout newline ends here ☃\nTraceback")
    assert log.endswith("ValueError: the user's error\n")
    text = b"".join(printed).decode()
    assert "".join(f"(Model#1) {line}\n" for line in log.splitlines()) in text


def test_a_launch_that_cannot_be_done_says_why(start: Start, reports: Reports) -> None:
    start({"A#1": {"executable": "/no/such/python"}, "controller": {}, "a/b": {}})

    errors = reports.next("controller")["errors"]

    assert errors == {
        "A#1": "cannot start a process: there is no interpreter at '/no/such/python'",
        "controller": "'controller' cannot be the id of a replica",
        "a/b": "'a/b' cannot be the id of a replica",
    }


def test_a_replica_ends_with_the_code_of_its_role(start: Start, reports: Reports) -> None:
    start({"A#1": {"role": "leaving"}})

    ended = reports.next("exit", process_id="A#1")

    assert ended["status"] == 7
    assert not os.path.exists(f"/proc/{ended['ended_pid']}")
