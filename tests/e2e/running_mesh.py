"""A mesh as the system sees it: its processes by their titles, its files. Nothing here asks the mesh itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import psutil

import mesh
from tests.e2e.commands import wait_until

Run = Callable[..., mesh.DeploymentHandle]
"""What the fixture ``run`` gives: :func:`mesh.run` for the time of one test."""

GONE_WITHIN_S = 2.0
"""Seconds in which nothing of a mesh is left after its end, by whatever cause."""


@dataclass(frozen=True)
class RunningMesh:
    """One mesh, by what its status said when it had started."""

    engine_pid: int
    run_directory: Path
    url: str

    @classmethod
    def of_this_process(cls) -> RunningMesh:
        """The mesh that :func:`mesh.run` or :func:`mesh.start` has started here."""
        status = mesh.status()
        return cls(status.engine_pid, Path(status.run_directory), status.url.rstrip("/"))

    def processes(self) -> dict[str, int]:
        """The living processes by their titles without "mesh: ", such as "controller" and "replica Model#3f2a9c"."""
        found = {}
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == self.engine_pid and not _is_dead(pid):
                    title = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
                    found[title.removeprefix("mesh: ")] = pid
            except (ProcessLookupError, FileNotFoundError):  # it ended while it was looked at
                continue
        return found

    def bridges(self) -> dict[str, int]:
        """The pids of the bridges."""
        return {title: pid for title, pid in self.processes().items() if title.startswith("bridge")}

    def replicas(self, deployment: str = "") -> dict[str, int]:
        """The pids of the replicas by their ids."""
        ids = {title.removeprefix("replica "): pid for title, pid in self.processes().items() if "#" in title}
        return {replica_id: pid for replica_id, pid in ids.items() if replica_id.startswith(deployment)}

    def wait_for_another(self, title: str, than: int) -> int:
        """The pid of the process of that title, as soon as there is one that is not ``than``."""
        wait_until(lambda: self.processes().get(title, than) != than)
        return self.processes()[title]

    def sockets(self) -> list[str]:
        """The unix sockets below the run directory that some process still holds."""
        table = Path("/proc/net/unix").read_text().splitlines()
        return [line.split()[-1] for line in table if str(self.run_directory) in line]

    def is_empty(self) -> bool:
        """It runs, and nothing is deployed on it."""
        no_replicas = self.processes().keys() - self.bridges() == {"engine", "controller", "door"}
        return no_replicas and not list(self.run_directory.glob("r-*.sock"))

    def wait_gone(self) -> float:
        """Wait until no process and no socket is left; the seconds that it took."""
        begun_s = monotonic()
        wait_until(lambda: not self.processes() and not self.sockets())
        return monotonic() - begun_s


def kill(*pids: int) -> None:
    """End processes as nothing can prevent."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def _is_dead(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
