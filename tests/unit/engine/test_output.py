from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.engine import output
from mesh.engine.output import Lines, Log, Outlet, Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test closed it


@pytest.mark.parametrize(
    ("pieces", "lines", "rest"),
    [
        pytest.param([b"a\nb\n"], [b"a\n", b"b\n"], [], id="whole lines"),
        pytest.param([b"a", b"b", b"\n"], [b"ab\n"], [], id="a line in pieces"),
        pytest.param([b"a\nb"], [b"a\n"], [b"b\n"], id="the last line has no newline"),
        pytest.param([b"\n\n"], [b"\n", b"\n"], [], id="empty lines stay"),
        pytest.param([b"12345678", b"9"], [b"1234\n", b"5678\n"], [b"9\n"], id="a line over the limit is cut"),
    ],
)
def test_lines(monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], lines: list[bytes], rest: list[bytes]) -> None:
    monkeypatch.setattr(output, "LONGEST_LINE_BYTES", 4)
    cutter = Lines()

    found = [line for piece in pieces for line in cutter.feed(piece)]

    assert found + cutter.end() == lines + rest
    assert cutter.end() == []


def test_a_full_log_keeps_what_was_before_in_a_second_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "LARGEST_LOG_BYTES", 10)
    log = Log(tmp_path / "a.log")

    for line in (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n", b"six\n"):
        log.write(line)
    log.close()

    assert (tmp_path / "a.log").read_bytes() == b"six\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"four\nfive\n"


def test_a_log_goes_on_where_the_incarnation_before_ended(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        log = Log(tmp_path / "a.log")
        log.write(line)
        log.close()

    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n"


def test_a_full_log_that_cannot_begin_anew_loses_lines_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "LARGEST_LOG_BYTES", 10)
    log = Log(tmp_path / "a.log")
    log.write(b"12345678\n")
    (tmp_path / "a.log.new").mkdir()  # as without room or descriptors, no file can be made there
    log.write(b"lost\n")
    (tmp_path / "a.log.new").rmdir()
    log.write(b"found\n")
    log.close()
    assert (tmp_path / "a.log").read_bytes() == b"found\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"12345678\n"


def test_an_outlet_that_nobody_reads_drops_and_counts(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pipe
    monkeypatch.setattr(output, "LARGEST_BACKLOG_BYTES", 10)
    outlet = Outlet(writing)

    for line in (b"one\n", b"two\n", b"three\n", b"four\n"):
        outlet.write(line)
    assert outlet.has_waiting
    outlet.flush()
    outlet.write(b"five\n")
    outlet.flush()

    assert not outlet.has_waiting
    told = b"(engine) 2 lines of output were dropped: nobody read them\n"
    assert os.read(reading, 1000) == b"one\ntwo\n" + told + b"five\n"


def test_an_outlet_goes_on_where_a_full_pipe_stopped_it(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    outlet = Outlet(writing)
    sent = [bytes([65 + number % 26]) * 50_000 + b"\n" for number in range(10)]
    for line in sent:
        outlet.write(line)

    found = b""
    while outlet.has_waiting:
        outlet.flush()
        found += os.read(reading, 1 << 20)

    assert found == b"".join(sent)


def test_an_outlet_without_a_reader_is_given_up(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    outlet = Outlet(writing)
    outlet.write(b"line\n")

    outlet.flush()

    assert not outlet.has_waiting


@pytest.fixture
def outlet(pipe: tuple[int, int]) -> Outlet:
    return Outlet(pipe[1])


def test_output_goes_to_the_log_as_it_is_and_to_the_owner_with_a_prefix(
    tmp_path: Path, pipe: tuple[int, int], outlet: Outlet
) -> None:
    reading, writing = os.pipe()
    process = Output(reading, "(Model#1)", Log(tmp_path / "a.log"), outlet)

    os.write(writing, b"one\ntwo\nthr")
    assert process.read()
    assert process.read(), "nothing there is not the end"
    os.close(writing)
    process.close()
    outlet.flush()

    assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\nthr\n"
    assert os.read(pipe[0], 1000) == b"(Model#1) one\n(Model#1) two\n(Model#1) thr\n"


def test_output_ends_when_the_last_writer_has_closed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = Output(reading, "", Log(tmp_path / "a.log"), None)
    os.close(writing)

    assert not process.read()
    process.close()


def test_a_program_that_still_holds_the_pipe_does_not_hold_up_its_close(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    process = Output(reading, "", Log(tmp_path / "a.log"), None)
    os.write(writing, b"last words")

    process.close()
    os.close(writing)

    assert (tmp_path / "a.log").read_bytes() == b"last words\n"
