"""The launcher against the other end of its socket, played by the test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from mesh.engine.launcher import EngineLauncher, LaunchFailed
from mesh.engine.messages import Unpacker, pack
from mesh.v1 import engine_pb2 as pb


class Engine:
    """The engine's end."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._unpacker = Unpacker()
        self._requests: list[pb.EngineRequest] = []
        line.setblocking(False)

    async def next_request(self) -> pb.EngineRequest:
        while not self._requests:
            piece = await asyncio.get_running_loop().sock_recv(self._line, 65536)
            self._requests += map(pb.EngineRequest.FromString, self._unpacker.feed(piece))
        return self._requests.pop(0)

    def tell(self, *events: pb.EngineEvent) -> None:
        self._line.sendall(b"".join(pack(event.SerializeToString()) for event in events))

    def close(self) -> None:
        self._line.close()


def launched(process_id: str, pid: int = 0, error: str = "") -> pb.EngineEvent:
    return pb.EngineEvent(launched=pb.Launched(process_id=process_id, pid=pid, error=error))


@pytest.fixture
def exits() -> asyncio.Queue[tuple[str, int, int]]:
    return asyncio.Queue()


@pytest.fixture
async def pair(exits: asyncio.Queue[tuple[str, int, int]]) -> AsyncIterator[tuple[EngineLauncher, Engine]]:
    ours, theirs = socket.socketpair()
    engine = Engine(theirs)
    async with EngineLauncher(ours, lambda *exit_: exits.put_nowait(exit_)) as launcher:
        yield launcher, engine
    engine.close()


async def test_launches_are_answered_in_any_order(pair: tuple[EngineLauncher, Engine]) -> None:
    launcher, engine = pair
    both = asyncio.gather(launcher.launch(pb.Launch(process_id="a")), launcher.launch(pb.Launch(process_id="b")))
    assert {(await engine.next_request()).launch.process_id for _ in range(2)} == {"a", "b"}

    engine.tell(launched("b", 2), launched("a", 1))

    assert await both == [1, 2]


async def test_a_launch_that_fails_says_why(pair: tuple[EngineLauncher, Engine]) -> None:
    launcher, engine = pair
    launch = asyncio.create_task(launcher.launch(pb.Launch(process_id="a")))
    await engine.next_request()

    engine.tell(launched("a", error="no memory"))

    with pytest.raises(LaunchFailed, match="no memory"):
        await launch


async def test_kill_and_list(pair: tuple[EngineLauncher, Engine]) -> None:
    launcher, engine = pair

    await launcher.kill("a")
    assert (await engine.next_request()).kill.process_id == "a"

    listing = asyncio.create_task(launcher.list())
    assert (await engine.next_request()).WhichOneof("request") == "list"
    processes = [pb.Launched(process_id="b", pid=2), pb.Launched(process_id="c", pid=3)]
    engine.tell(pb.EngineEvent(listed=pb.Listed(processes=processes)))
    assert await listing == {"b": 2, "c": 3}


async def test_every_exit_is_reported(
    pair: tuple[EngineLauncher, Engine], exits: asyncio.Queue[tuple[str, int, int]]
) -> None:
    _, engine = pair

    engine.tell(
        pb.EngineEvent(exit=pb.Exit(process_id="a", pid=1, status=0)),
        pb.EngineEvent(exit=pb.Exit(process_id="b", pid=2, status=-9)),
    )

    assert [await exits.get(), await exits.get()] == [("a", 1, 0), ("b", 2, -9)]


async def test_the_end_of_the_engine_fails_whoever_waits(pair: tuple[EngineLauncher, Engine]) -> None:
    launcher, engine = pair
    waiting = [asyncio.create_task(launcher.launch(pb.Launch(process_id="a"))), asyncio.create_task(launcher.list())]
    for _ in waiting:
        await engine.next_request()

    engine.close()

    for task in waiting:
        with pytest.raises(LaunchFailed, match="the engine has ended"):
            await task
    with pytest.raises(LaunchFailed, match="the engine has ended"):
        await launcher.kill("a")
