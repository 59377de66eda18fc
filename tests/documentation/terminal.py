"""Runs the commands of a page, one after the other in a folder with the page's files, as a reader would.

A command that goes on, such as ``meshctl run``, is left alone when it has printed what the page shows; it ends at
``^C``, before the next of its kind, or at the end of the page. What differs from a reader's terminal is the ports: each
one that the page names stands for a free one, in commands, files and output alike.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Final

from tests.documentation.blocks import ROOT, Command

LIMIT_S: Final = 60
"""No command takes longer to print what the page shows."""

HTTP_PORT, GRPC_PORT = "8000", "9000"
_PORT = re.compile(r"(?P<before>localhost:|127\.0\.0\.1:|--(?:grpc-)?port[ =]|port ?[:=] ?)(?P<port>[1-9]\d{3,4})\b")
_GOES_ON = re.compile(r"^(?:\w+=\S+ )*(?:meshctl run|meshctl logs .*(?:-f|--follow))\b")
_SCRIPT = re.compile(r"^(?:\w+=\S+ )*python (?P<script>[\w-]+\.py)\b")
_MAKES_A_MESH = re.compile(r"\b(?:mesh|serve)\.(?:run|start)\(|\.deploy\(")
_ASIDES: Final = (
    re.compile(r"^mesh: the script has ended.*(?:\n|\Z)", re.MULTILINE),
    re.compile(r"^\(\w+#\w+\) .*(?:\n|\Z)", re.MULTILINE),
)
"""A script's last word, and what replicas log and print, which comes when it comes: seen where a page shows it."""

_TAKES_FREE_PORTS = """import mesh
mesh.start(http_options=mesh.HTTPOptions(port={http}), grpc_options=mesh.GRPCOptions(port={grpc}))
"""


class _Started:
    """A command that runs, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""
        self.has_ended = False
        self.changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def interrupt(self) -> int:
        """End it by Ctrl-C; its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """End it as nothing can prevent."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit code, when it has ended and all that it has printed is here."""
        try:
            return self.process.wait(timeout=LIMIT_S)
        finally:
            self.process.kill()
            self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self.changed:
                    self.printed += line
                    self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()


class Terminal:
    """The commands of one page. With ``is_local`` its scripts have their mesh inside of their own process."""

    def __init__(self, folder: Path, files: Mapping[str, str], *, is_local: bool = False) -> None:
        self._folder = folder
        self._is_local = is_local
        self._ports: dict[str, str] = {}
        self._stays: _Started | None = None
        self._is_detached = False
        (folder / ".curlrc").write_text("silent\nshow-error\n")
        self._variables = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CURL_HOME": str(folder),
            "COLUMNS": "80",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "",  # what a script prints comes in one piece, and nothing in the middle of a line
            "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:asyncio",  # a reader need not have it, and it warns
        }
        self._files = files
        for name, content in files.items():
            (folder / name).write_text(self._with_free_ports(content))

    def run(self, command: Command) -> None:
        """Run it. Raises AssertionError when it prints something else than the page shows, or fails without a word."""
        typed = self._as_run(command.typed)
        goes_on = _GOES_ON.match(command.typed) is not None
        if goes_on or self._script_with_a_mesh(command.typed):
            self.stop()
        started = self._start(typed)
        try:
            self._check(command, started, goes_on=goes_on)
        except BaseException:
            started.kill()
            raise
        if command.typed.startswith("meshctl start"):
            self._is_detached = True
        if command.typed.startswith("meshctl shutdown"):
            self._is_detached = False
        if command.ends:
            self.stop()

    def stop(self) -> None:
        """End what goes on by Ctrl-C. Raises AssertionError when it does not end well."""
        if (stays := self._stays) is None:
            return
        self._stays = None
        code = stays.interrupt()
        assert code in (0, -signal.SIGINT), f"it ended with {code} at Ctrl-C:\n{stays.printed}"

    def close(self) -> None:
        """End everything, whatever has happened."""
        if self._stays is not None:
            self._stays.kill()
        if self._is_detached:
            self._start("meshctl shutdown --now").wait()

    # --- a command as it is run

    def _as_run(self, typed: str) -> str:
        if typed.startswith("mypy "):
            typed = f"PYTHONPATH={ROOT} {typed}"  # an installation that can be edited is none to mypy
        elif script := self._script_with_a_mesh(typed):
            typed = f"MESH_LOCAL=1 {typed}" if self._is_local else typed.replace(script, self._at_free_ports(script), 1)
        elif (typed.startswith(("meshctl run", "meshctl start"))) and ".yaml" not in typed and "--help" not in typed:
            typed += "" if "--port" in typed else f" --port {HTTP_PORT}"
            typed += "" if "--grpc-port" in typed or "--no-grpc" in typed else f" --grpc-port {GRPC_PORT}"
        return self._with_free_ports(typed)

    def _script_with_a_mesh(self, typed: str) -> str | None:
        """The script, when it makes a mesh of its own: one that runs already would be in its way."""
        found = _SCRIPT.match(typed)
        if found is None or self._is_detached or not _MAKES_A_MESH.search(self._files[found["script"]]):
            return None
        return found["script"]

    def _at_free_ports(self, script: str) -> str:
        """A copy of the script whose mesh listens at free ports where the page means the usual ones."""
        copy = f"at_free_ports_{script}"
        start = _TAKES_FREE_PORTS.format(http=HTTP_PORT, grpc=GRPC_PORT)
        (self._folder / copy).write_text(self._with_free_ports(start + self._files[script]))
        return copy

    def _with_free_ports(self, text: str) -> str:
        return _PORT.sub(lambda found: found["before"] + self._free_port(found["port"]), text)

    def _with_ports_of_the_page(self, text: str) -> str:
        for port, free in self._ports.items():
            text = re.sub(rf"\b{free}\b", port, text)
        return text.replace("at_free_ports_", "")

    def _free_port(self, port: str) -> str:
        if port not in self._ports:
            self._ports[port] = _free_port()
        return self._ports[port]

    # --- what it prints

    def _start(self, typed: str) -> _Started:
        # Bash runs one simple command in its own place, so that a signal reaches the command.
        process = subprocess.Popen(
            ["bash", "-c", typed],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return _Started(process)

    def _check(self, command: Command, started: _Started, *, goes_on: bool) -> None:
        limit = monotonic() + LIMIT_S
        with started.changed:
            while not started.has_ended and not (goes_on and self._is_as_shown(command, started, whole=False)):
                left_s = limit - monotonic()
                assert left_s > 0, f"{self._said(command, started)}\n... and went on for {LIMIT_S} s"
                started.changed.wait(left_s)
        if goes_on and not started.has_ended:
            self._stays = started
            return
        code = started.wait()
        if command.expected:
            assert self._is_as_shown(command, started, whole=not goes_on), self._said(command, started)
        else:
            assert code == 0, f"exit code {code}: {self._said(command, started)}"

    def _is_as_shown(self, command: Command, started: _Started, *, whole: bool) -> bool:
        printed = _tidy(self._with_ports_of_the_page(started.printed))
        for aside in _ASIDES:
            if not aside.search(command.expected):
                printed = aside.sub("", printed)
        printed = printed.rstrip("\n")
        pattern = as_pattern(command.expected)
        return bool(pattern.fullmatch(printed) if whole else re.match(pattern.pattern + r"(?:\n|\Z)", printed))

    def _said(self, command: Command, started: _Started) -> str:
        printed = _tidy(self._with_ports_of_the_page(started.printed))
        return f"line {command.line}: $ {command.typed}\n--- the page shows\n{command.expected}\n--- printed\n{printed}"


def as_pattern(expected: str) -> re.Pattern[str]:
    """What a page shows as a pattern: ``...`` is anything within a line, on a line of its own any lines or none.

    Columns may be wider than the page has them: two spaces stand for more.
    """
    parts = []
    for line in _narrow(expected).split("\n"):
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*(?:\n|\Z))*?")
        else:
            parts.append(r"[^\n]*?".join(map(re.escape, line.rstrip().split("..."))) + r"(?:\n|\Z)")
    return re.compile("".join(parts))


def _tidy(printed: str) -> str:
    return _narrow("\n".join(line.rstrip() for line in printed.rstrip().splitlines()))


def _narrow(text: str) -> str:
    return re.sub(r"(?<=\S) {3,}", "  ", text)


def _free_port() -> str:
    """One that nobody has, outside of the range from which systems give ports to those who ask for any."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return str(port)
