"""Starting an engine, what can be wrong with that, and ending it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import psutil
import pytest

from mesh.engine import owner, places
from mesh.engine.owner import EngineOptions, EngineProcess, boot_engine, start_engine
from mesh.engine.places import living
from mesh.errors import ConfigError, MeshUnavailable
from tests.e2e.commands import wait_until
from tests.integration.engine.conftest import Reports, Watched
from tests.services.engine_roles import REPLICAS

ROLES = "tests.services.engine_roles"
OWNER = Path(__file__).parents[2] / "services" / "engine_owner.py"

Start = Callable[..., EngineProcess]


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Starts an engine on a free port with the roles of these tests."""
    engines: list[EngineProcess] = []

    def start(**options: object) -> EngineProcess:
        settings = {
            "port": 0,
            "controller_role": f"{ROLES}:controller",
            "bridge_role": f"{ROLES}:bridge",
            "output": lambda lines: None,
            **options,
        }
        engines.append(start_engine(EngineOptions(**settings)))  # type: ignore[arg-type]
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop(drain=False)


def _run_directories(place: Path) -> list[Path]:
    return [path for path in (place / f"mesh-{os.getuid()}").iterdir() if path.is_dir()]


def test_it_is_known_by_its_card(start: Start, reports: Reports) -> None:
    engine = start(host="localhost")

    (mesh,) = living()

    assert (mesh.pid, mesh.engine_pid, mesh.port, mesh.host) == (os.getpid(), engine.pid, engine.port, "localhost")
    assert mesh.run_directory == engine.run_directory
    assert mesh.version == "0.1.0"
    assert not mesh.detached
    assert oct(Path(engine.run_directory).stat().st_mode & 0o777) == "0o700"
    assert oct((Path(engine.run_directory) / "token").stat().st_mode & 0o777) == "0o600"


def test_localhost_is_every_loopback_address(start: Start, reports: Reports) -> None:
    engine = start(host="localhost")

    for address in ("127.0.0.1", "::1"):
        with socket.create_connection((address, engine.port), timeout=10) as line:
            assert line.recv(100) == b"1"


def test_a_port_held_by_another_mesh_names_its_owner(start: Start, reports: Reports, place: Path) -> None:
    first = start()

    with pytest.raises(MeshUnavailable, match=rf"another mesh listens there, started by .* \(pid {os.getpid()}\)"):
        start(port=first.port)

    assert _run_directories(place) == [Path(first.run_directory)], "nothing is half started"


def test_a_port_held_by_another_program_says_so(start: Start, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MeshUnavailable, match=f"port {port} on 127.0.0.1 is busy: another program listens there"):
            start(port=port)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 70000}, "port 70000 is not possible"),
        ({"host": "no such host"}, "host 'no such host' has no address here"),
        ({"host": "203.0.113.1"}, "cannot listen on 203.0.113.1:0"),
    ],
    ids=["a port that does not exist", "a host that does not exist", "a host that is elsewhere"],
)
def test_impossible_places_are_refused(start: Start, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        start(**options)


def test_an_engine_that_cannot_start_shows_why(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "setproctitle.py").write_text("raise RuntimeError('a broken installation')")
    monkeypatch.setenv("PYTHONPATH", f"{place}:{os.environ['PYTHONPATH']}")

    with pytest.raises(MeshUnavailable, match="the engine ended while it started") as raised:
        start_engine(EngineOptions(port=0))

    assert "a broken installation" in raised.value.__notes__[0]


def test_a_controller_that_cannot_run_ends_the_mesh(start: Start, place: Path) -> None:
    printed: list[bytes] = []

    engine = start(http=False, controller_role=f"{ROLES}:fatal_controller", output=printed.append)

    assert engine.wait(10)
    assert not engine.alive
    lines = b"".join(printed).decode().splitlines()
    assert lines[-2:] == [
        "(controller) the store is held by another controller",
        "(engine) the controller cannot run; the mesh ends",
    ]
    assert _run_directories(place) == []


def test_a_controller_that_keeps_falling_is_started_again(start: Start, reports: Reports) -> None:
    printed: list[bytes] = []

    engine = start(http=False, controller_role=f"{ROLES}:falling_controller", output=printed.append)

    for incarnation in (1, 2, 3, 4):
        reports.next("controller", incarnation=incarnation)
    engine.stop(drain=False)
    text = b"".join(printed).decode()
    assert [part.partition("\n")[0] for part in text.split("in_s=")[1:]] == ["0", "0.1", "0.2"]
    assert "(controller) RuntimeError: incarnation 3 falls" in text


def test_a_port_that_is_taken_while_the_door_is_away_is_told_once(start: Start, reports: Reports) -> None:
    printed: list[bytes] = []

    engine = start(http=False, grpc_port=0, door_role=f"{ROLES}:portless_door", output=printed.append)

    for incarnation in (1, 2, 3, 4):
        reports.next("door", incarnation=incarnation)
    engine.stop(drain=False)
    told = [line for line in b"".join(printed).decode().splitlines() if "door" in line]
    assert told == [
        f"(engine) door waits for its port: another program has taken {engine.grpc_port}; "
        "it listens there as soon as that lets go"
    ]


def test_each_bridge_has_all_sockets_and_is_started_again_by_itself(start: Start, reports: Reports) -> None:
    engine = start(bridges=3)
    first = [reports.next("bridge", incarnation=1) for _ in range(3)]
    assert sorted(report["argument"]["number"] for report in first) == [0, 1, 2]

    os.kill(first[0]["pid"], signal.SIGKILL)

    again = reports.next("bridge", incarnation=2)
    assert again["argument"] == first[0]["argument"]
    titles = [process.cmdline()[0] for process in psutil.Process(engine.pid).children()]
    assert {title for title in titles if "bridge" in title} == {"mesh: bridge", "mesh: bridge-2", "mesh: bridge-3"}
    with socket.create_connection(("127.0.0.1", engine.port), timeout=10) as line:
        assert line.recv(100) in (b"1", b"2")
    for name in ("bridge", "bridge-2", "bridge-3"):
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(f"{engine.run_directory}/{name}.sock")
            assert line.recv(100) in (b"1", b"2")


@pytest.mark.parametrize("detached", [False, True], ids=["attached", "detached"])
def test_a_stop_drains_bridge_and_controller_first(start: Start, reports: Reports, detached: bool) -> None:
    engine = start(detached=detached)
    assert reports.next("bridge")["argument"] == {"debug_errors": not detached, "number": 0, "bridges": 1}
    reports.next("controller")

    engine.stop(drain=True)

    assert reports.next("drained")["too_late"] == "the mesh is being stopped"
    assert not engine.alive
    assert not os.path.exists(engine.run_directory)


def test_a_controller_that_does_not_drain_is_ended_at_the_limit(start: Start, reports: Reports) -> None:
    engine = start(http=False, controller_role=f"{ROLES}:deaf_controller", drain_limit_s=0.2)
    controller = Watched(reports.next("controller")["pid"])

    engine.stop(drain=True)

    assert controller.has_ended()
    controller.close()


def test_a_second_request_to_end_does_not_wait_for_the_first(start: Start, reports: Reports) -> None:
    engine = start(http=False, controller_role=f"{ROLES}:deaf_controller", drain_limit_s=1000.0)
    reports.next("controller")
    draining = threading.Thread(target=engine.stop, args=(True,))
    draining.start()

    engine.stop(drain=False)

    draining.join(10)
    assert not draining.is_alive()


def test_an_owner_that_does_not_read_stops_nobody(
    start: Start, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REPLICAS, json.dumps({"A#1": {"role": "chatty"}, "B#2": {}}))
    reading = threading.Event()
    printed: list[bytes] = []

    def slow_terminal(lines: bytes) -> None:
        reading.wait()
        printed.append(lines)

    engine = start(http=False, output=slow_terminal)
    reports.next("A#1")
    reports.next("B#2")
    reading.set()
    engine.stop(drain=False)

    assert 0 < sum(map(len, printed)) < 100 * 65536, "what nobody read was dropped"


def test_an_engine_that_gets_no_orders_touches_nothing(place: Path) -> None:
    booted = boot_engine()
    engine = psutil.Process(booted.pid)
    booted.dismiss()
    assert not engine.is_running()
    assert not (place / f"mesh-{os.getuid()}").exists()


def test_an_engine_without_orders_ends_with_its_owner() -> None:
    code = "import os, signal\nfrom mesh.engine.owner import boot_engine\nbooted = boot_engine()\n"
    code += "print(booted.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    wait_until(lambda: _has_ended(int(killed.stdout)))


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # whoever adopted it has not looked yet
    except psutil.NoSuchProcess:
        return True


def test_what_cannot_be_run_leaves_no_engine() -> None:
    code = (
        "import mesh, psutil\n"
        "try:\n"
        "    mesh.run(5)\n"
        "except TypeError as error:\n"
        "    print('refused', psutil.Process().children())\n"
    )
    script = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30)
    assert (script.stdout, script.stderr) == ("refused []\n", "")


def test_a_start_that_is_interrupted_leaves_no_directory(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(line: socket.socket) -> NoReturn:
        wait_until(lambda: any((place / f"mesh-{os.getuid()}").glob("*/token")))
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, "receive_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start()

    def is_clean() -> bool:
        places.sweep()  # a fork of the engine may have held the lock for a moment longer; the next start sweeps, too
        return _run_directories(place) == []

    wait_until(is_clean)


def test_a_second_ctrl_c_at_the_end_of_the_script_prints_no_traceback() -> None:
    code = (
        "from mesh.engine.owner import EngineOptions, EngineProcess, start_engine\n"
        "stop = EngineProcess.stop\n"
        "def interrupted(engine, drain):\n"
        "    stop(engine, drain)\n"
        "    raise KeyboardInterrupt\n"
        "EngineProcess.stop = interrupted\n"
        "start_engine(EngineOptions(port=0))\n"
    )
    script = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (script.returncode, script.stderr) == (0, "")


@pytest.mark.parametrize(
    ("deed", "code"), [("exit", 0), ("fail", 1)], ids=["a script that ends", "a script that fails"]
)
def test_the_end_of_the_script_is_the_end_of_the_mesh(
    reports: Reports, monkeypatch: pytest.MonkeyPatch, deed: str, code: int
) -> None:
    monkeypatch.setenv(REPLICAS, json.dumps({"A#1": {}}))
    arguments = [sys.executable, "-W", "error", str(OWNER), "{}", deed]

    script = subprocess.run(arguments, capture_output=True, text=True, timeout=30)

    assert script.returncode == code
    assert "Warning" not in script.stderr
    assert living() == []
    assert not os.path.exists(reports.next("owner")["run_directory"])
