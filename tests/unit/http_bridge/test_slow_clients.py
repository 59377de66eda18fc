"""Clients that hold a connection and do nothing with it, on real sockets, with limits that are short."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncGenerator

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from http_bridge.client import INLINE_BODY_BYTES
from http_bridge.server import Server, make_server
from http_bridge.slow_clients import SlowClients

from .conftest import FakeMesh

LIMIT_S = 20
MUCH = b"x" * 20_000_000
"""More than the kernel takes for a client that does not read."""


@pytest.fixture
def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture
async def server(mesh: FakeMesh, listener: socket.socket) -> AsyncGenerator[Server, None]:
    server = make_server(mesh.bridge)
    server.slow_clients = SlowClients(head_s=1.5, unread_s=1.5)
    task = asyncio.create_task(server.serve([listener]))
    yield server
    server.stop()
    async with asyncio.timeout(LIMIT_S):
        await task


@pytest.fixture
def port(server: Server, listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


async def _until_ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(LIMIT_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def test_client_that_sends_nothing_is_let_go(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await _until_ended(reader) == b""
    writer.close()


async def test_head_that_comes_byte_by_byte_is_ended_and_an_idle_connection_is_not(mesh: FakeMesh, port: int) -> None:
    async def hello(request: Request) -> str:
        return "hello"

    await mesh.serve("/", hello)
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
    idle_writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await idle_reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def drip() -> None:
        for byte in b"GET / HTTP/1.1\r\nx: " + b"y" * 10_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert await _until_ended(reader) == b""
    dripping.cancel()
    idle_writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await idle_reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
    for one in (writer, idle_writer):
        one.close()


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
async def test_answer_that_nobody_reads_is_dropped_with_its_connection(
    mesh: FakeMesh, server: Server, port: int, *, streams: bool
) -> None:
    asked = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        while True:
            yield MUCH[:100_000]

    async def much(request: Request) -> object:
        asked.set()
        return StreamingResponse(pieces()) if streams else MUCH

    await mesh.serve("/", much)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(LIMIT_S):
            await asked.wait()
            while server.server_state.connections or server.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.05)


async def test_client_that_reads_slowly_gets_all_of_it(mesh: FakeMesh, port: int) -> None:
    async def much(request: Request) -> object:
        return MUCH

    await mesh.serve("/", much)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    size = 0
    for _ in range(4):
        await asyncio.sleep(1)  # slower than the limit in all, and never still for as long as it
        size += len(await reader.read(1_000_000))
    async with asyncio.timeout(LIMIT_S):
        while piece := await reader.read(1_000_000):
            size += len(piece)
    assert size == len(MUCH)
    writer.close()


async def test_stream_ends_with_its_client_when_the_body_of_the_request_is_not_read(mesh: FakeMesh, port: int) -> None:
    ended = asyncio.Event()

    async def ticks() -> AsyncGenerator[str, None]:
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(ticks())

    await mesh.serve("/", stream)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = 4 * INLINE_BODY_BYTES
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + b"x" * (size - 1))
    async with asyncio.timeout(LIMIT_S):
        await reader.readuntil(b"tick")
        writer.transport.abort()
        await ended.wait()


class _Broken:
    """A connection, its transport and its socket in one, that the system knows nothing of any more."""

    def __init__(self) -> None:
        self.transport = self
        self.is_aborted = False

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 1

    def get_extra_info(self, _: str) -> _Broken:
        return self

    def getsockopt(self, *_: int) -> bytes:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def abort(self) -> None:
        self.is_aborted = True


def test_connection_that_cannot_be_asked_is_judged_by_what_is_buffered_for_it() -> None:
    slow, broken = SlowClients(unread_s=1.0), _Broken()
    for now_s in (0.0, 0.5, 2.0):
        slow.look([broken], now_s)
    assert broken.is_aborted
