"""Following logs: which they are, and what happens when one is full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh.cli.logs import Tail, chosen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("engine", "bridge", "bridge-2", "Model#1", "Model#2", "Models#3")):
        log = tmp_path / f"{name}.log"
        log.write_text("".join(f"{name} line {line}\n" for line in range(3)))
        log.with_name(f"{name}.log.1").touch()
        os.utime(log, (number, number))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "logs"),
    [
        (None, ["Model#1", "Model#2", "Models#3"]),
        ("Model", ["Model#1", "Model#2"]),
        ("Model#2", ["Model#2"]),
        ("bridge", ["bridge", "bridge-2"]),
        ("bridge-2", ["bridge-2"]),
        ("nothing", []),
    ],
)
def test_logs_are_chosen_by_deployment_replica_or_role(folder: Path, name: str | None, logs: list[str]) -> None:
    assert [log.stem for log in chosen(folder, name)] == logs


def test_a_log_that_is_begun_anew_loses_no_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = folder / "Model#1.log"
    tail = Tail(log, 2)
    tail.print_new()
    assert capsys.readouterr().out == "(Model#1) Model#1 line 1\n(Model#1) Model#1 line 2\n"
    with log.open("a") as file:
        file.write("last of the old\n")
    log.replace(f"{log}.1")
    log.write_text("first of the new\n")
    tail.print_new()
    tail.print_new()
    tail.close()
    assert capsys.readouterr().out == "(Model#1) last of the old\n(Model#1) first of the new\n"
