"""Taking connections from a socket that two bridges share: here two acceptors on one loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from http_bridge import accepting
from http_bridge.accepting import Acceptor
from http_bridge.counts import Counts


class Connections(set[asyncio.Protocol]):
    """Those of one bridge; each is one until it is lost."""

    def make(self) -> asyncio.Protocol:
        return _Connection(self)


class _Connection(asyncio.Protocol):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._transport.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Counts, Counts]:
    path = str(tmp_path / "counts")
    return Counts(path, 0, 2), Counts(path, 1, 2)


@asynccontextmanager
async def taking(listener: socket.socket, counts: Counts | None) -> AsyncGenerator[Connections, None]:
    with listener.dup() as own:  # a descriptor of its own, as in a process of its own
        connections = Connections()
        acceptor = Acceptor([own], connections.make, connections, counts)
        acceptor.start()
        yield connections
        await acceptor.close()


async def clients(listener: socket.socket, number: int, *taken: Connections) -> list[asyncio.StreamWriter]:
    """So many connections, once all of them are taken."""
    ends = [await asyncio.open_connection(*listener.getsockname()) for _ in range(number)]
    async with asyncio.timeout(10):
        while sum(map(len, taken)) < number:  # noqa: ASYNC110 - their own code would not say so
            await asyncio.sleep(0)
    return [writer for _, writer in ends]


async def test_two_that_are_idle_get_as_many(listener: socket.socket, pair: tuple[Counts, Counts]) -> None:
    async with taking(listener, pair[0]) as first, taking(listener, pair[1]) as second:
        ends = await clients(listener, 20, first, second)
        assert abs(len(first) - len(second)) <= 1
        for end in ends:
            end.close()


async def test_connections_for_one_that_takes_none_are_taken_by_others(
    listener: socket.socket, pair: tuple[Counts, Counts]
) -> None:
    async with taking(listener, pair[0]) as first:
        for end in await clients(listener, 20, first):
            end.close()


async def test_nothing_is_left_to_one_that_has_said_goodbye(pair: tuple[Counts, Counts]) -> None:
    first, second = pair
    first.tell(5)
    assert (first.has_least(), first.others()) == (False, (0,))
    second.close()
    assert first.has_least()
    first.close()


class Exhausted(socket.socket):
    """A listener of a process that has no descriptor left, once."""

    refusals = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.mark.parametrize("wait_s", [0.01, 1000.0], ids=["tried again", "not at once"])
async def test_no_descriptor_left_is_told_and_waited_for(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wait_s: float
) -> None:
    monkeypatch.setattr(accepting, "NO_DESCRIPTORS_S", wait_s)
    with Exhausted(fileno=listener.dup().detach()) as exhausted:
        connections = Connections()
        acceptor = Acceptor([exhausted], connections.make, connections)
        acceptor.start()
        if wait_s == 0.01:
            ends = await clients(listener, 3, connections)
        else:
            ends = [(await asyncio.open_connection(*listener.getsockname()))[1] for _ in range(3)]
            for _ in range(100):
                await asyncio.sleep(0)
            assert not connections
        await acceptor.close()
        assert len(connections) == 3
        for end in ends:
            end.close()
    assert caplog.text.count("Too many open files") == 1


async def test_a_bridge_that_ends_takes_those_who_wait_already(listener: socket.socket) -> None:
    ends = [await asyncio.open_connection(*listener.getsockname()) for _ in range(3)]
    async with taking(listener, None) as connections:
        pass  # it has had no time yet
    assert len(connections) == 3
    for _, writer in ends:
        writer.close()
