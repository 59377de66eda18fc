"""Detached meshes: what outlives a script, how it is found, and who may deploy where."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.commands import LIMIT_S, MESHCTL, ROOT, Ended, run_to_end, wait_until

DEPLOYS = """
import sys
import mesh
from tests.services.imperative import Teller

mesh.start(detached=True, http_options=mesh.HTTPOptions(port=0), name=sys.argv[1])
Teller.deploy(sys.argv[2])
status = mesh.status()
print(status.engine_pid, status.url)
"""

ASKS = """
import mesh
print(mesh.get_deployment("Teller").get_handle().settings.remote().result(timeout_s=30))
"""


def script(code: str, *arguments: str, **env: str) -> Ended:
    """Run a script in a process of its own, as a user would."""
    return run_to_end(sys.executable, "-c", code, *arguments, env={"PYTHONPATH": os.pathsep.join(sys.path), **env})


def printed(code: str, *arguments: str, **env: str) -> str:
    ended = script(code, *arguments, **env)
    assert ended.code == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture
def detached(places: Path) -> Iterator[int]:
    """The pid of the engine of a detached mesh with one deployment, whose script has ended."""
    engine_pid = int(printed(DEPLOYS, "kept", "/model").split()[0])
    yield engine_pid
    run_to_end(MESHCTL, "shutdown", "--mesh", "kept")
    wait_until(lambda: not psutil.pid_exists(engine_pid) or psutil.Process(engine_pid).status() == "zombie")
    assert not (places.parent / "state" / "mesh" / "kept").exists()


@pytest.mark.feature("21")
def test_a_detached_mesh_survives_its_script_and_is_called_from_another(detached: int) -> None:
    assert printed(ASKS) == "/model"
    assert psutil.Process(detached).is_running()


@pytest.mark.feature("21")
def test_another_script_attaches_deploys_there_and_ends_it(detached: int, places: Path) -> None:
    deploys = "import mesh\nfrom tests.services.imperative import Teller, echo\n"
    ended = script(f"{deploys}mesh.run(echo.bind(), name='second', route_prefix='/second')\nTeller.deploy('/new')")
    assert (ended.code, ended.stderr) == (0, "")  # nothing says that it ends with the script
    assert printed("import mesh\nprint(sorted(mesh.list_deployments()), mesh.status().engine_pid)") == (
        f"['Teller', 'echo'] {detached}"
    )
    assert printed(ASKS) == "/new"
    printed("import mesh\nmesh.shutdown()")
    assert "no mesh is running" in script(ASKS).stderr
    assert not (places.parent / "state" / "mesh" / "kept").exists()


@pytest.mark.feature("21")
def test_starting_it_again_connects(detached: int) -> None:
    assert printed(DEPLOYS, "kept", "/again").split()[0] == str(detached)
    assert printed(ASKS) == "/again"
    other = script("import mesh\nmesh.start(detached=True, name='kept', http_options=mesh.HTTPOptions(port=1))")
    assert f"the detached mesh 'kept' (pid {detached}" in other.stderr
    assert "runs already, without HTTPOptions" in other.stderr


def test_a_killed_detached_mesh_takes_its_store_up_again(detached: int) -> None:
    os.kill(detached, signal.SIGKILL)
    wait_until(lambda: "no mesh is running" in script(ASKS).stderr)
    starts = "import mesh\nmesh.start(detached=True, name='kept', http_options=mesh.HTTPOptions(port=0))\n"
    assert printed(starts + ASKS) == "/model"


def test_shutdown_may_keep_the_store_for_the_next_of_its_name(detached: int) -> None:
    printed("import mesh\nmesh.shutdown(keep=True)")
    starts = "import mesh\nmesh.start(detached=True, name='kept', http_options=mesh.HTTPOptions(port=0))\n"
    assert printed(starts + ASKS) == "/model"


def test_mesh_address_chooses_among_meshes(detached: int) -> None:
    other = int(printed(DEPLOYS, "other", "/other").split()[0])
    try:
        ended = script(ASKS)
        assert ended.code == 1
        assert re.search(r"2 meshes are running.*'kept' \(pid \d+.*'other' \(pid \d+.*MESH_ADDRESS", ended.stderr)
        assert printed(ASKS, MESH_ADDRESS="other") == "/other"
        assert printed(ASKS, MESH_ADDRESS=str(detached)) == "/model"
        url = json.loads(run_to_end(MESHCTL, "status", "--mesh", "kept", "--json").stdout)["url"]
        assert printed(ASKS, MESH_ADDRESS=url.removeprefix("http://").rstrip("/")) == "/model"
        nowhere = script(ASKS, MESH_ADDRESS="nowhere")
        assert "no mesh is at 'nowhere'; there are: detached mesh 'kept'" in nowhere.stderr
    finally:
        printed("import mesh\nmesh.shutdown()", MESH_ADDRESS="other")
    assert not psutil.pid_exists(other) or psutil.Process(other).status() == "zombie"


def test_deploying_to_another_scripts_mesh_is_refused_with_its_pid_and_port() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.services.imperative", "shop", "/model"], cwd=ROOT, stdout=subprocess.PIPE
    ) as owner:
        try:
            assert owner.stdout is not None
            assert owner.stdout.readline() == b"deployed\n"
            deploys = "from tests.services.imperative import Teller\nTeller.deploy()"
            ended = script(deploys, MESH_ADDRESS=str(owner.pid))
            assert ended.code == 1
            assert re.search(
                rf"the mesh at port \d+ belongs to .*imperative\.py \(pid {owner.pid}\) and ends with it", ended.stderr
            )
            ended = script("import mesh\nmesh.shutdown()", MESH_ADDRESS=str(owner.pid))
            assert "ends with that script" in ended.stderr
            asks = ASKS.replace("Teller", "shop")
            assert printed(asks, MESH_ADDRESS=str(owner.pid)) == "/model"
        finally:
            owner.kill()
            owner.wait(LIMIT_S)


def test_a_mesh_of_another_version_is_refused_naming_both(detached: int, places: Path) -> None:
    (card,) = places.glob("*/mesh.json")
    told = json.loads(card.read_text())
    card.write_text(json.dumps({**told, "version": "99.1"}))
    ended = script(ASKS)
    card.write_text(json.dumps(told))
    assert re.search(r"is of mesh 99\.1, and this process uses mesh \d+\.\d+\.\d+", ended.stderr)


@pytest.mark.feature("21")
def test_threads_that_start_a_mesh_at_the_same_time_share_one() -> None:
    told = printed(
        "import threading, mesh\n"
        "together = threading.Barrier(3)\n"
        "meshes = set()\n"
        "def start():\n"
        "    together.wait()\n"
        "    mesh.start(http_options=mesh.HTTPOptions(port=0))\n"
        "    meshes.add(mesh.status().engine_pid)\n"
        "threads = [threading.Thread(target=start) for _ in range(3)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(len(meshes))\n"
    )
    assert told == "1"
