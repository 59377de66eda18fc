"""Several bridges on one socket: who gets which connection, and what clients notice when one of them ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import mesh
from mesh.reachable import wait_reachable
from tests.e2e.commands import LIMIT_S, done, serving, wait_until
from tests.e2e.keep_alive import Answer, Clients, KeepAlive
from tests.e2e.load import Load
from tests.e2e.running_mesh import GONE_WITHIN_S, RunningMesh, kill
from tests.services import bridged

pytestmark = pytest.mark.feature("31")


@pytest.fixture(scope="module")
def bridges() -> int:
    return 2


@pytest.fixture(scope="module")
def deployed(own_mesh: RunningMesh) -> RunningMesh:
    mesh.run(bridged.node)
    return own_mesh


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a gate that no other test uses."""
    return str(request.node.name)


@pytest.fixture
def connections(deployed: RunningMesh) -> Iterator[list[socket.socket]]:
    """Twenty connections of clients that say nothing yet."""
    port = int(deployed.url.rpartition(":")[2])
    connections = [socket.create_connection(("127.0.0.1", port), LIMIT_S) for _ in range(20)]
    yield connections
    for connection in connections:
        connection.close()


def _bridges_of(connections: list[socket.socket], running: RunningMesh) -> dict[int, int]:
    """The pid of the bridge that has taken each connection, by the connection's port here; 0 for none yet."""
    ends = {}
    for pid in running.bridges().values():
        for end in psutil.Process(pid).net_connections("tcp"):
            if end.raddr:
                ends[end.raddr.port] = pid
    return {(port := connection.getsockname()[1]): ends.get(port, 0) for connection in connections}


def _answer(connection: socket.socket) -> bytes:
    """The first line of the answer to a request, empty when the connection is dead."""
    try:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(65536).partition(b"\r\n")[0]
    except OSError:
        return b""


def test_new_connections_are_shared_out(deployed: RunningMesh, connections: list[socket.socket]) -> None:
    wait_until(lambda: 0 not in _bridges_of(connections, deployed).values())
    assert set(_bridges_of(connections, deployed).values()) == set(deployed.bridges().values())


def test_death_of_one_bridge_breaks_its_own_connections_only(
    deployed: RunningMesh, connections: list[socket.socket]
) -> None:
    wait_until(lambda: 0 not in _bridges_of(connections, deployed).values())
    dying, living = sorted(deployed.bridges().values())
    owners = _bridges_of(connections, deployed)
    (title,) = (title for title, pid in deployed.bridges().items() if pid == dying)

    kill(dying)

    answers = {connection.getsockname()[1]: _answer(connection) for connection in connections}
    assert {port for port, line in answers.items() if line} == {port for port, pid in owners.items() if pid == living}
    for _ in range(20):
        assert urlopen(deployed.url, timeout=LIMIT_S).read() == b"answer"
    assert deployed.wait_for_another(title, than=dying)


async def _think_and_get(clients: Clients, _: str) -> Answer:
    await asyncio.sleep(0.005)  # so that about half of the connections are idle whenever something happens
    return await clients.get("/")


async def test_bridges_are_restarted_one_by_one_and_no_request_is_lost(deployed: RunningMesh) -> None:
    before = deployed.bridges()
    async with Clients(deployed.url, 16) as clients:
        async with Load(partial(_think_and_get, clients), at_a_time=16) as load:
            await load.wait_for_more(200)
            for title, pid in before.items():
                os.kill(pid, signal.SIGTERM)
                await asyncio.to_thread(deployed.wait_for_another, title, pid)
                await load.wait_for_more(200)
        assert not load.errors
        assert {answer.body for answer in load.answers.values()} == {b"answer"}
        assert sum(client.connections for client in clients.all) >= 32  # each has lost two, or nearly
    assert not set(before.values()) & set(deployed.bridges().values())


async def test_what_is_under_way_ends_well(deployed: RunningMesh, key: str) -> None:
    at = deployed.url.replace("http", "ws", 1) + f"/?key={key}"
    gate = mesh.DeploymentHandle("default", "Gate")
    async with asyncio.timeout(LIMIT_S), Clients(deployed.url, 4) as clients, connect(at) as chat, connect(at) as chat2:
        stream = asyncio.create_task(clients.get(f"/?stream={key}"))
        slow = asyncio.create_task(clients.get(f"/?wait={key}-slow"))
        await gate.begun(key)
        await gate.begun(f"{key}-slow")
        before = deployed.bridges()
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        for socket_ in (chat, chat2):
            with pytest.raises(ConnectionClosed):
                await socket_.recv()
            assert socket_.close_code == 1012
        await gate.wait(f"{key} 1012")
        await gate.open(key)
        await gate.open(f"{key}-slow")
        assert (await stream).body == b"begun 0 1 2 ended"
        answer = await slow
        assert (answer.body, answer.is_last) == (b"answer", True)
    for title, pid in before.items():
        await asyncio.to_thread(deployed.wait_for_another, title, pid)


async def test_an_idle_connection_has_time_for_one_more_request(deployed: RunningMesh) -> None:
    before = deployed.bridges()
    async with asyncio.timeout(LIMIT_S), Clients(deployed.url, 8) as clients:
        busy, *idle = clients.all
        for client in clients.all:
            assert not (await client.get()).is_last
        for pid in before.values():
            os.kill(pid, signal.SIGTERM)
        while not (await busy.get()).is_last:
            pass
        answers = [await client.get() for client in idle]
        assert {answer.body for answer in answers} == {b"answer"}
        assert {client.connections for client in clients.all} == {1}
    for title, pid in before.items():
        await asyncio.to_thread(deployed.wait_for_another, title, pid)


def test_run_returns_when_all_bridges_know_the_route(deployed: RunningMesh) -> None:
    second = deployed.bridges()["bridge-2"]
    os.kill(second, signal.SIGSTOP)
    try:
        running = threading.Thread(target=lambda: mesh.run(bridged.node, name="late", route_prefix="/late"))
        running.start()
        first = f"{deployed.run_directory}/bridge.sock"
        assert asyncio.run(wait_reachable([first], "/late", "Bridged"))
        running.join(0.1)
        assert running.is_alive()
    finally:
        os.kill(second, signal.SIGCONT)
    running.join(LIMIT_S)
    for _ in range(8):
        assert urlopen(f"{deployed.url}/late", timeout=LIMIT_S).read() == b"answer"
    mesh.delete("late")


def test_status_says_how_many_there_are(deployed: RunningMesh) -> None:
    assert mesh.status().bridges == 2


def _mesh_of(process: int, places: Path) -> RunningMesh:
    (engine,) = psutil.Process(process).children()
    directories = [card.parent for card in places.glob("*/mesh.json")]
    (directory,) = (
        one for one in directories if json.loads((one / "mesh.json").read_text())["engine_pid"] == engine.pid
    )
    return RunningMesh(engine.pid, directory, "")


async def test_the_only_bridge_answers_all_that_has_come_before_the_mesh_ends(places: Path, key: str) -> None:
    with serving("tests.services.bridged:node", "--no-grpc") as running:
        seen = _mesh_of(running.process.pid, places)
        async with asyncio.timeout(LIMIT_S), Clients(running.url, 16) as clients:
            held, opener = KeepAlive(running.url), KeepAlive(running.url)
            slow = asyncio.create_task(held.get(f"/?stream={key}"))
            await opener.get(f"/?begun={key}")
            async with Load(partial(_think_and_get, clients), at_a_time=16) as load:
                await load.wait_for_more(200)
                running.process.send_signal(signal.SIGTERM)
                await load.wait(lambda: bool(load.errors))
            assert {type(error) for error in load.errors.values()} == {ConnectionRefusedError}
            assert (await opener.get(f"/?open={key}")).is_last
            assert (await slow).body == b"begun 0 1 2 ended"
            held.close()
        assert running.ended().code == 0
        assert seen.wait_gone() < GONE_WITHIN_S


def test_meshctl_starts_several_and_shows_them(places: Path) -> None:
    done("start", "--name", "several", "--port", "0", "--no-grpc", "--bridges", "2")
    try:
        assert "  2 bridges  " in done("status", "--mesh", "several")
        status = json.loads(done("status", "--mesh", "several", "--json"))
        assert status["bridges"] == 2
        for pid in RunningMesh(status["engine_pid"], places, "").bridges().values():
            kill(pid)
        wait_until(lambda: _has_answered(status["url"]))
    finally:
        done("shutdown", "--mesh", "several")


def _has_answered(url: str) -> bool:
    with suppress(OSError):
        return bool(urlopen(f"{url}-/healthz", timeout=LIMIT_S).read() == b"success\n")
    return False
