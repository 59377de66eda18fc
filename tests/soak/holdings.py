"""What the processes of a mesh hold, as the system and they themselves know it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

import mesh
from benchmarks.memory import rollup_mb
from mesh import connect
from tests.e2e.running_mesh import RunningMesh
from tests.services.patience import census


@dataclass(frozen=True, slots=True)
class Holding:
    """One process at one moment: memory that is its own, and counts of things by their names."""

    memory_mb: float
    counts: dict[str, int]


async def holdings(running: RunningMesh, asked: dict[str, mesh.DeploymentHandle]) -> dict[str, list[Holding]]:
    """Of each kind of process: engine, controller, bridges, the replicas of ``asked``, and this one as client."""
    processes = await asyncio.to_thread(running.processes)
    found: dict[str, list[Holding]] = {"client": [_holding(os.getpid(), await _own_census())]}
    for title, pid in sorted(processes.items()):
        kind = title.partition(" ")[0]
        if kind in ("engine", "controller", "bridge"):
            found.setdefault(kind, []).append(_holding(pid, {}))
    for name, handle in asked.items():
        pids = {pid: title for title, pid in processes.items() if title.startswith(f"replica {name}#")}
        told: dict[int, dict[str, int]] = {}
        while told.keys() < pids.keys():  # each answers in its turn
            pid, counts = await handle.told()
            told[pid] = counts
        found[f"replica of {name}"] = [_holding(pid, told[pid]) for pid in sorted(pids)]
    return found


def _holding(pid: int, counts: dict[str, int]) -> Holding:
    process = psutil.Process(pid)
    names = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()]
    seen = {
        "threads": process.num_threads(),
        "descriptors": sum("memfd:mesh-segment" not in name for name in names),
    }
    return Holding(rollup_mb(pid, ["Private_Dirty"])["Private_Dirty"], counts | seen)


async def _own_census() -> dict[str, int]:
    connection = connect.default()
    assert connection is not None
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_census(), connection.loop))


async def _census() -> dict[str, int]:
    return census()
