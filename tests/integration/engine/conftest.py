"""A place of its own for each test's meshes, and the line on which the test's processes say what they have become."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.services.engine_roles import REPORTS

LIMIT_S = 10.0
"""Seconds after which a test stops waiting for what should have happened long ago."""


class Reports:
    """The reports of all processes, in the order in which they came."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        self._early: list[dict[str, Any]] = []

    def next(self, who: str, **facts: Any) -> dict[str, Any]:
        """The next report of ``who`` with these facts; others are kept for later."""
        wanted = {"who": who, **facts}
        limit_s = time.monotonic() + LIMIT_S
        while True:
            for report in self._early:
                if wanted.items() <= report.items():
                    self._early.remove(report)
                    return report
            self._listener.settimeout(max(0.001, limit_s - time.monotonic()))
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                pytest.fail(f"no report {wanted}; there are {self._early}")
            with connection, connection.makefile("rb") as file:
                self._early.append(json.loads(file.read()))

    def close(self) -> None:
        self._listener.close()


class Watched:
    """A process by a descriptor that means it and no later one of the same number."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._death = os.pidfd_open(pid)

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """It has ended, or does so in time."""
        poll = select.poll()
        poll.register(self._death, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def close(self) -> None:
        """Lets go of it; nothing that a test started outlives it."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._death, signal.SIGKILL)
        os.close(self._death)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short temporary directory: the path of a socket has little room."""
    path = Path(tempfile.mkdtemp(prefix="mt-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def reports(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """The reports of the test's processes."""
    path = place / "reports.sock"
    monkeypatch.setenv(REPORTS, str(path))
    reports = Reports(path)
    yield reports
    reports.close()
