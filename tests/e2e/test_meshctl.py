"""``meshctl run`` and ``meshctl status`` with real processes: what they say, and what is left after them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import psutil
import pytest

from mesh.v1.predict_pb2 import PredictRequest
from mesh.v1.predict_pb2_grpc import PredictServiceStub
from tests.e2e.commands import MESHCTL, Running, run_to_end, serving, wait_until

SLOW = """
import time
from pathlib import Path

import mesh

@mesh.deployment(num_replicas=2)
class Slow:
    def __call__(self, request):
        seconds = float(request.query_params.get("seconds", "0"))
        if seconds:
            Path("begun").touch()
        time.sleep(seconds)
        return "done"

node = Slow.bind()
"""

SLEEPY = """
import time
from pathlib import Path

import mesh

@mesh.deployment
def sleepy(seconds):
    Path("begun").touch()
    time.sleep(seconds)
    return "done"

node = sleepy.bind()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


def _processes_of(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.process.pid).children(recursive=True)


def _all_gone(processes: list[psutil.Process], within_s: float = 2) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def _run_directories(places: Path) -> list[Path]:
    return list(places.glob("*/"))


def _status() -> dict[str, Any]:
    ended = run_to_end(MESHCTL, "status", "--json")
    assert ended.code == 0, ended.stderr
    status: dict[str, Any] = json.loads(ended.stdout)
    return status


def test_run_says_what_it_deployed_and_where(folder: Path) -> None:
    with serving("slow:node", "--name", "shop", "--route-prefix", "/slow", cwd=folder) as running:
        assert urlopen(f"{running.url}/slow", timeout=30).read() == b"done"
        ended = running.stop()
    assert ended.code == 0
    assert f"shop is running at {running.url}/slow" in ended.stdout
    assert "Slow" in ended.stdout
    assert "2 replicas" in ended.stdout


def test_ctrl_c_ends_every_process_at_once(folder: Path, places: Path) -> None:
    with serving("slow:node", cwd=folder) as running, ThreadPoolExecutor(1) as pool:
        request = pool.submit(lambda: urlopen(f"{running.url}/?seconds=60", timeout=30).read())
        wait_until((folder / "begun").exists)
        processes = _processes_of(running)
        assert len(processes) >= 5  # engine, controller, bridge, two replicas
        running.process.send_signal(signal.SIGINT)
        assert _all_gone(processes, within_s=2)
        ended = running.ended()
        assert ended.code == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        assert _run_directories(places) == []
        assert request.exception(timeout=30) is not None


def test_sigterm_lets_the_replicas_finish(folder: Path, places: Path) -> None:
    with serving("slow:node", cwd=folder) as running, ThreadPoolExecutor(1) as pool:
        request = pool.submit(lambda: urlopen(f"{running.url}/?seconds=1", timeout=30).read())
        wait_until((folder / "begun").exists)
        processes = _processes_of(running)
        ended = running.stop(signal.SIGTERM)
        assert request.result(timeout=30) == b"done"
        assert ended.code == 0, ended.stderr
        assert _all_gone(processes)
        assert _run_directories(places) == []


def test_run_ends_with_an_error_when_its_engine_is_killed(folder: Path, places: Path) -> None:
    with serving("slow:node", cwd=folder) as running:
        processes = _processes_of(running)
        engine = psutil.Process(_status()["engine_pid"])
        engine.kill()
        ended = running.ended()
        assert ended.code == 1
        assert f"the engine (pid {engine.pid}) has ended" in ended.stderr
        assert _all_gone(processes)
    (left,) = _run_directories(places)
    with serving("slow:node", cwd=folder) as running:  # the next start sweeps what the killed engine could not
        assert left not in _run_directories(places)
        running.stop()


def test_status_tells_the_replicas_and_their_pids(folder: Path) -> None:
    with serving("slow:node", cwd=folder) as running:
        (application,) = _status()["applications"]
        (deployment,) = application["deployments"]
        assert (application["name"], application["route_prefix"]) == ("default", "/")
        assert (deployment["name"], deployment["phase"]) == ("Slow", "RUNNING")
        assert [replica["state"] for replica in deployment["replicas"]] == ["RUNNING", "RUNNING"]
        assert {replica["pid"] for replica in deployment["replicas"]} <= {p.pid for p in _processes_of(running)}
        told = run_to_end(MESHCTL, "status").stdout
        for replica in deployment["replicas"]:
            assert f"{replica['replica_id']} RUNNING {replica['pid']}" in " ".join(told.split())


def test_sigterm_lets_a_call_through_the_door_finish(folder: Path) -> None:
    (folder / "sleepy.py").write_text(SLEEPY)
    with serving("sleepy:node", "--grpc-port", "0", cwd=folder) as running:
        address = _status()["grpc_address"]
        with grpc.insecure_channel(address) as channel, ThreadPoolExecutor(1) as pool:
            answer = pool.submit(PredictServiceStub(channel).Predict, PredictRequest(body=b"1"), timeout=30)
            wait_until((folder / "begun").exists)
            ended = running.stop(signal.SIGTERM)
            assert answer.result(timeout=30).body == b'"done"'
        assert ended.code == 0, ended.stderr
        assert f"mesh.v1.PredictService at {address}" in ended.stdout


def test_run_without_a_door_has_none(folder: Path) -> None:
    with serving("slow:node", "--no-grpc", cwd=folder) as running:
        assert _status()["grpc_address"] == ""
        assert "PredictService" not in running.stop().stdout


def test_status_without_a_mesh_says_so() -> None:
    ended = run_to_end(MESHCTL, "status")
    assert ended.code == 1
    assert "no mesh is running" in ended.stderr


def test_busy_port_of_another_program_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_to_end(MESHCTL, "run", "slow:node", "--port", str(port), cwd=folder)
    assert ended.code == 1
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_busy_port_of_another_mesh_names_its_pid_and_script(folder: Path) -> None:
    with serving("slow:node", cwd=folder) as running:
        port = running.url.rpartition(":")[2]
        ended = run_to_end(MESHCTL, "run", "slow:node", "--port", port, cwd=folder)
        assert ended.code == 1
        assert f"started by meshctl run slow:node --port 0 (pid {running.process.pid})" in ended.stderr
        assert urlopen(running.url, timeout=30).read() == b"done"


def test_constructor_that_raises_is_shown_with_its_traceback(folder: Path) -> None:
    (folder / "broken.py").write_text(
        "import mesh\n\n@mesh.deployment\nclass Broken:\n    def __init__(self):\n        raise KeyError('sugar')\n\n"
        "node = Broken.bind()\n"
    )
    ended = run_to_end(MESHCTL, "run", "broken:node", "--port", "0", cwd=folder)
    assert ended.code == 1
    assert "KeyError: 'sugar'" in ended.stderr
    assert "raise KeyError('sugar')" in ended.stderr
    assert "mesh/cli" not in ended.stderr
    assert "the script has ended" not in ended.stderr


def test_ctrl_c_while_a_constructor_runs_ends_quietly(folder: Path) -> None:
    (folder / "building.py").write_text(
        "import time\nfrom pathlib import Path\n\nimport mesh\n\n"
        "@mesh.deployment\nclass Building:\n    def __init__(self):\n"
        "        Path('begun').touch()\n        time.sleep(60)\n\n"
        "node = Building.bind()\n"
    )
    process = subprocess.Popen(
        [MESHCTL, "run", "building:node", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until((folder / "begun").exists)
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=30)
        assert (process.returncode, *printed) == (0, "", "")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_signal_that_code_swallowed_while_it_started_ends_it_all_the_same(folder: Path, number: str) -> None:
    (folder / "deaf.py").write_text(
        "import os, signal, sys\n\nimport mesh\n\n@mesh.deployment\ndef deaf():\n    return 1\n\nnode = deaf.bind()\n"
        "if sys.argv[0].endswith('meshctl'):\n"
        f"    try:\n        os.kill(os.getpid(), signal.{number})\n    except BaseException:\n        pass\n"
    )
    ended = run_to_end(MESHCTL, "run", "deaf:node", "--port", "0", cwd=folder)
    assert (ended.code, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["mesh", "types", "sidecar", "asyncio", "http_bridge"])
def test_file_in_the_working_directory_with_a_name_of_ours_breaks_nothing(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text("raise RuntimeError('the wrong file was imported')\n")
    with serving("slow:node", cwd=folder) as running:
        assert urlopen(running.url, timeout=30).read() == b"done"
        assert running.stop().code == 0


def test_graph_without_a_driver_is_refused(folder: Path) -> None:
    (folder / "loose.py").write_text(
        "import mesh\nfrom mesh.dag import InputNode\n\n"
        "@mesh.deployment\ndef double(number):\n    return 2 * number\n\n"
        "with InputNode() as number:\n    output = double.bind(number)\n"
    )
    ended = run_to_end(MESHCTL, "run", "loose:output", "--port", "0", cwd=folder)
    assert ended.code == 1
    assert "DAGDriver" in ended.stderr
    assert "Traceback" not in ended.stderr
