"""A file that replicas write to and a test reads: what user code went through, whatever becomes of its process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Journal:
    """Lines "event key pid" in the order in which they happened. Travels as an argument."""

    path: Path

    def write(self, event: str, key: object = "-") -> None:
        """One line; a single append, so that lines of several processes do not mix."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, f"{event} {key} {os.getpid()}\n".encode())
        finally:
            os.close(descriptor)

    def lines(self) -> list[tuple[str, str, int]]:
        """All that was written: event, key, pid."""
        if not self.path.exists():
            return []
        words = [line.split() for line in self.path.read_text().splitlines()]
        return [(event, key, int(pid)) for event, key, pid in words]

    def keys(self, event: str) -> list[str]:
        """The keys of one kind of event."""
        return [key for found, key, _ in self.lines() if found == event]


def wait_for_file(path: Path) -> None:
    """Hold the thread until a test makes the file."""
    while not path.exists():
        time.sleep(0.01)
