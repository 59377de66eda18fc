"""The output of the processes: pipes become lines, lines go to a bounded log and, with a prefix, to the owner.

Nothing here blocks: a terminal that takes no more must not stop the engine.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

LONGEST_LINE_BYTES = 64 * 1024
LARGEST_LOG_BYTES = 1024 * 1024
LARGEST_BACKLOG_BYTES = 1024 * 1024

_READ_BYTES = 64 * 1024


class Lines:
    """Cuts what comes from a pipe into lines, each with its newline."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that are complete now; a line over the limit is cut there."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        while len(self._rest) > LONGEST_LINE_BYTES:
            lines.append(self._rest[:LONGEST_LINE_BYTES])
            self._rest = self._rest[LONGEST_LINE_BYTES:]
        return [line + b"\n" for line in lines]

    def end(self) -> list[bytes]:
        """What came after the last newline."""
        rest, self._rest = self._rest, b""
        return [rest + b"\n"] if rest else []


class Log:
    """A file of at most :data:`LARGEST_LOG_BYTES`; what was there before it was full is kept in ``<path>.1``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)
        self._size_bytes = self._file.tell()

    def write(self, lines: bytes) -> None:
        """Appends; a full disk, or no descriptor left, loses the lines and nothing else."""
        with suppress(OSError):
            if self._size_bytes + len(lines) > LARGEST_LOG_BYTES:
                self._begin_anew()
            self._size_bytes += self._file.write(lines)

    def _begin_anew(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new").open("wb", buffering=0)  # while the old one is there yet
        self._path.replace(f"{self._path}.1")
        Path(fresh.name).replace(self._path)
        self._file.close()
        self._file, self._size_bytes = fresh, 0

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Outlet:
    """The pipe to the owner. It never blocks: what does not fit is dropped, counted, and the count is told."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped_lines = 0
        os.set_blocking(descriptor, False)

    @property
    def has_waiting(self) -> bool:
        """There is something to write as soon as the pipe takes it."""
        return bool(self._waiting)

    def write(self, line: bytes) -> None:
        """Takes a line for the owner."""
        if self._waiting_bytes + len(line) > LARGEST_BACKLOG_BYTES:
            self._dropped_lines += 1
            return
        if self._dropped_lines:
            line = b"(engine) %d lines of output were dropped: nobody read them\n" % self._dropped_lines + line
            self._dropped_lines = 0
        self._waiting.append(line)
        self._waiting_bytes += len(line)

    def flush(self) -> bool:
        """Writes what the pipe takes now; False when nobody will ever read it."""
        while self._waiting:
            line = self._waiting[0]
            try:
                written = os.write(self.descriptor, line)
            except BlockingIOError:
                return True
            except OSError:
                self._waiting.clear()
                self._waiting_bytes = 0
                return False
            self._waiting_bytes -= written
            if written == len(line):
                self._waiting.popleft()
            else:
                self._waiting[0] = line[written:]
        return True


class Output:
    """The reading end of one process's standard output and error."""

    def __init__(self, descriptor: int, prefix: str, log: Log, outlet: Outlet | None) -> None:
        self.descriptor = descriptor
        self._prefix = f"{prefix} ".encode() if prefix else b""
        self._log = log
        self._outlet = outlet
        self._lines = Lines()
        os.set_blocking(descriptor, False)

    def read(self) -> bool:
        """Passes on what is there now, at most one piece; False at the end of the output."""
        try:
            piece = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return True
        self._pass_on(self._lines.feed(piece) if piece else self._lines.end())
        return bool(piece)

    def close(self) -> None:
        """Passes on what the process left in the pipe, which has at most a pipe's size, and closes."""
        for _ in range(64):
            try:
                piece = os.read(self.descriptor, _READ_BYTES)
            except BlockingIOError:
                break
            if not piece:
                break
            self._pass_on(self._lines.feed(piece))
        self._pass_on(self._lines.end())
        os.close(self.descriptor)
        self._log.close()

    def _pass_on(self, lines: list[bytes]) -> None:
        if not lines:
            return
        self._log.write(b"".join(lines))
        if self._outlet is not None:
            for line in lines:
                self._outlet.write(self._prefix + line)
