"""How the end-to-end tests run things: as a user would, in processes of their own, each with a limit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 90
"""No process of these tests lives longer."""

MESHCTL = str(Path(sys.executable).with_name("meshctl"))


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code and what it has written."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Running:
    """A ``meshctl run`` that serves at ``url``."""

    process: subprocess.Popen[str]
    errors: IO[str]
    printed: str
    url: str

    def stop(self, number: signal.Signals = signal.SIGINT) -> Ended:
        """End it by a signal."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> Ended:
        """Wait until it has ended."""
        assert self.process.stdout is not None
        self.printed += self.process.stdout.read()
        code = self.process.wait()
        self.errors.seek(0)
        return Ended(code, self.printed, self.errors.read())


def run_to_end(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Ended:
    """Run a command until it ends by itself."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def run_python(*arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Ended:
    """Run the interpreter of the tests on a script or module."""
    return run_to_end(sys.executable, *arguments, cwd=cwd, env=env)


def meshctl(*arguments: str, cwd: Path = ROOT) -> Ended:
    """Run a command of ``meshctl`` that ends by itself."""
    return run_to_end(MESHCTL, *arguments, cwd=cwd)


def done(*arguments: str, cwd: Path = ROOT) -> str:
    """What such a command prints when all goes well."""
    ended = meshctl(*arguments, cwd=cwd)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds; for what another process does and cannot tell us."""
    pause, limit = threading.Event(), monotonic() + LIMIT_S
    while not condition():
        assert monotonic() < limit, f"{condition} did not hold within {LIMIT_S} s"
        pause.wait(0.02)


@contextmanager
def serving(*arguments: str, cwd: Path = ROOT) -> Iterator[Running]:
    """``meshctl run`` with these arguments at a free port, from the line that says where until the end of the block."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [MESHCTL, "run", *arguments, "--port", "0"],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield _when_it_says_where(process, errors)
        finally:
            limit.cancel()
            process.kill()
            process.communicate()


def _when_it_says_where(process: subprocess.Popen[str], errors: IO[str]) -> Running:
    assert process.stdout is not None
    running = Running(process, errors, printed="", url="")
    while line := process.stdout.readline():
        running.printed += line
        if found := re.search(r"http://[^\s/]+", line):
            running.url = found.group()
            return running
    pytest.fail(f"meshctl run ended before it served: {running.ended()}")
