"""Following logs: which they are, and what happens when one is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mesh.cli import logs
from mesh.cli.logs import Tail, chosen
from mesh.engine import output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("engine", "bridge", "bridge-2", "Model#1", "Model#2", "Models#3")):
        log = tmp_path / f"{name}.log"
        log.write_text("".join(f"{name} line {line}\n" for line in range(3)))
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


class Printed:
    """A log, written as the engine writes it, and what its tail prints."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = folder / "Prices#7.log"
        self._log = output.Log(self.path)
        self._capsys = capsys
        self._number = 0

    def write(self, number: int) -> None:
        """So many numbered lines, of eight bytes each."""
        for _ in range(number):
            self._log.write(b"%07d\n" % self._number)
            self._number += 1

    def shown(self, tail: Tail) -> list[int]:
        """The numbers of the lines that it prints now."""
        tail.print_new()
        return [int(line.removeprefix("(Prices#7) ")) for line in self._capsys.readouterr().out.splitlines()]


@pytest.fixture
def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Printed]:
    """A log of which a file holds ten lines."""
    monkeypatch.setattr(output, "LARGEST_LOG_BYTES", 80)
    printed = Printed(tmp_path, capsys)
    yield printed
    printed._log.close()


@pytest.mark.parametrize("at_a_time", [1, 3, 10, 11, 13])
def test_no_line_is_lost_or_shown_twice_while_files_fill(printed: Printed, at_a_time: int) -> None:
    with closing(Tail(printed.path, 100)) as tail:
        shown = []
        for _ in range(12):
            printed.write(at_a_time)
            shown += printed.shown(tail)
    assert shown == list(range(12 * at_a_time))


def test_of_a_writer_that_is_too_fast_all_is_shown_that_is_still_there(printed: Printed) -> None:
    with closing(Tail(printed.path, 100)) as tail:
        printed.write(5)
        assert printed.shown(tail) == [0, 1, 2, 3, 4]
        printed.write(30)  # four files, of which two are there, and the first is still open here
        assert printed.shown(tail) == [*range(5, 10), *range(20, 35)]
        printed.write(1)
        assert printed.shown(tail) == [35]


def test_the_last_lines_may_begin_in_the_file_that_was_set_aside(printed: Printed) -> None:
    printed.write(12)
    with closing(Tail(printed.path, 5)) as tail:
        assert printed.shown(tail) == [7, 8, 9, 10, 11]
        printed.write(1)
        assert printed.shown(tail) == [12]


def test_a_line_that_is_half_written_waits_for_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Prices#7.log"
    with path.open("wb", buffering=0) as file:
        file.write(b"one\ntw")
        with closing(Tail(path, 100)) as tail:
            tail.print_new()
            assert capsys.readouterr().out == "(Prices#7) one\n"
            file.write(b"o\n")
            tail.print_new()
            assert capsys.readouterr().out == "(Prices#7) two\n"


def test_a_log_that_is_set_aside_at_this_moment_is_read_on(printed: Printed) -> None:
    with closing(Tail(printed.path, 100)) as tail:
        printed.write(10)
        printed.path.replace(f"{printed.path}.1")
        assert printed.shown(tail) == list(range(10))
        printed.path.write_text("0000010\n")
        assert printed.shown(tail) == [10]


def test_what_is_said_last_is_shown_when_the_mesh_has_ended(printed: Printed) -> None:
    tails: dict[Path, Tail] = {}

    def goes_on() -> bool:
        printed.write(2)
        return False

    logs._follow(printed.path.parent, None, tails, goes_on)
    with closing(tails[printed.path]):
        assert printed._capsys.readouterr().out == "(Prices#7) 0000000\n(Prices#7) 0000001\n"
