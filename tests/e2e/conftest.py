"""What all end-to-end tests share: a temporary directory without anybody else's meshes, and proof that nothing is left.

Tests that need a mesh of their own process take ``own_mesh``: one a module, at a free port. Tests that kill an owner
start one by :mod:`tests.services.owner`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import mesh
from mesh.dag import DeploymentNode
from mesh.engine.tree import adopt_orphans
from tests.e2e.commands import wait_until
from tests.e2e.running_mesh import GONE_WITHIN_S, RunningMesh

Run = Callable[..., mesh.DeploymentHandle]


@pytest.fixture(scope="session", autouse=True)
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of these tests' meshes and of no others; orphans come to this process, where they are seen."""
    tmp_path_factory.getbasetemp()  # stays where it is
    folder = Path(tempfile.mkdtemp(prefix="mesh-e2e-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        adopt_orphans()
        yield folder / f"mesh-{os.getuid()}"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def own_mesh(places: Path) -> Iterator[RunningMesh]:
    """The mesh of this process, with an HTTP bridge at a free port, until the end of the module."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    running = RunningMesh.of_this_process()
    yield running
    mesh.shutdown(drain=False)
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
def nothing_left(places: Path, request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test: no process, socket, segment or run directory, but those of the module's own mesh."""
    segments = _segments()
    yield
    kept = request.getfixturevalue("own_mesh") if "own_mesh" in request.fixturenames else None
    kept_processes = {"engine", "controller", "bridge"} if kept else set()
    wait_until(lambda: _left_processes(kept) == [])
    if kept is not None:
        wait_until(lambda: kept.processes().keys() == kept_processes)
        wait_until(lambda: not list(kept.run_directory.glob("r-*.sock")))
    kept_directory = kept.run_directory.name if kept else None
    directories = {path.name for path in places.glob("*/")} if places.exists() else set()
    assert directories <= {kept_directory}, "a run directory was left"
    assert _segments() <= segments


def _left_processes(kept: RunningMesh | None) -> list[psutil.Process]:
    """The living processes below this one that do not belong to the mesh that is kept."""
    left = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and (kept is None or os.getsid(process.pid) != kept.engine_pid):
                left.append(process)
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return left


def _segments() -> set[str]:
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
