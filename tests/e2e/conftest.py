"""What all end-to-end tests share: a temporary directory without anybody else's meshes, and proof that nothing is left.

Tests that need a mesh of their own process take ``own_mesh``: one a module, at a free port. Tests that kill an owner
start one by :mod:`tests.services.owner`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import mesh
from mesh.dag import DeploymentNode
from mesh.engine.tree import adopt_orphans
from tests.e2e.commands import MESHCTL, run_to_end, wait_until
from tests.e2e.running_mesh import GONE_WITHIN_S, Run, RunningMesh


@pytest.fixture(scope="session", autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of these tests' meshes and of no others; orphans come to this process, where they are seen."""
    tmp_path_factory.getbasetemp()  # stays where it is
    folder = Path(tempfile.mkdtemp(prefix="mesh-e2e-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))  # where detached meshes keep their stores
        patch.delenv("MESH_ADDRESS", raising=False)
        patch.setattr(tempfile, "tempdir", None)
        adopt_orphans()
        yield folder / f"mesh-{os.getuid()}"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def bridges() -> int:
    """How many bridges ``own_mesh`` has; a module may say otherwise."""
    return 1


@pytest.fixture(scope="module")
def own_mesh(places: Path, bridges: int) -> Iterator[RunningMesh]:
    """The mesh of this process, with HTTP at a free port, until the end of the module."""
    mesh.start(http_options=mesh.HTTPOptions(port=0, bridges=bridges))
    running = RunningMesh.of_this_process()
    _kept.append(running)
    yield running
    _kept.clear()
    mesh.shutdown(drain=False)
    assert running.wait_gone() < GONE_WITHIN_S
    assert not running.run_directory.exists()


@pytest.fixture(scope="module")
def detached_mesh(places: Path) -> Iterator[RunningMesh]:
    """A detached mesh of the name "default" at a free port, until the end of the module."""
    assert run_to_end(MESHCTL, "start", "--port", "0").code == 0
    status = json.loads(run_to_end(MESHCTL, "status", "--json").stdout)
    running = RunningMesh(status["engine_pid"], Path(status["run_directory"]), status["url"].rstrip("/"))
    _kept.append(running)
    yield running
    _kept.clear()
    assert run_to_end(MESHCTL, "shutdown", "--now").code == 0
    assert running.wait_gone() < GONE_WITHIN_S
    assert not running.run_directory.exists()


@pytest.fixture
def run(own_mesh: RunningMesh) -> Iterator[Run]:
    """:func:`mesh.run` for one test: what it deployed is deleted after it."""
    names: set[str] = set()

    def run_here(node: DeploymentNode, name: str = "default", route_prefix: str | None = None) -> mesh.DeploymentHandle:
        names.add(name)
        return mesh.run(node, name=name, route_prefix=route_prefix)

    yield run_here
    for name in names & {application.name for application in mesh.status().applications}:
        mesh.delete(name)


@pytest.fixture(autouse=True)
def nothing_left(places: Path) -> Iterator[None]:
    """After each test: no process, socket or run directory, but those of the module's own empty mesh."""
    yield
    wait_until(lambda: _left_processes() == [])
    wait_until(lambda: all(kept.is_empty() for kept in _kept))
    directories = set(places.glob("*/")) if places.exists() else set()
    assert directories <= {kept.run_directory for kept in _kept}
    assert not [path for path in _sockets(places) if not any(path.is_relative_to(kept.run_directory) for kept in _kept)]


_kept: list[RunningMesh] = []
"""The mesh of the present module, when it has one."""


def _left_processes() -> list[psutil.Process]:
    """The living processes below this one that do not belong to the mesh that is kept."""
    left = []
    for process in psutil.Process().children(recursive=True):
        try:
            is_dead = process.status() == psutil.STATUS_ZOMBIE
            if not is_dead and os.getsid(process.pid) not in {kept.engine_pid for kept in _kept}:
                left.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return left


def _sockets(places: Path) -> list[Path]:
    """The unix sockets there that some process still holds."""
    words = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    paths = [Path(line[7]) for line in words if len(line) > 7]
    return [path for path in paths if path.is_relative_to(places)]
