"""The bridge under its real HTTP server, on a socket of its own."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

from http_bridge import connection, server
from http_bridge.joined_writes import JoinedWrites
from http_bridge.server import Server, make_server
from mesh.config import DeploymentConfig

from .conftest import FakeMesh


class Running:
    """A server and where it listens."""

    def __init__(self, server: Server, port: int, task: asyncio.Task[None]) -> None:
        self.server = server
        self.port = port
        self.task = task
        self.url = f"http://127.0.0.1:{port}"

    async def exchange(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        return reader, writer

    async def refuses(self) -> None:
        """Wait until it takes no new connections."""
        async with asyncio.timeout(5):
            while True:
                try:
                    _, late = await asyncio.open_connection("127.0.0.1", self.port)
                    late.close()
                except ConnectionError:
                    return


@pytest.fixture
async def running(mesh: FakeMesh) -> AsyncGenerator[Running, None]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(mesh.bridge)
    task = asyncio.create_task(server.serve([listener]))
    yield Running(server, listener.getsockname()[1], task)
    server.stop()
    async with asyncio.timeout(5):
        await task


@pytest.fixture
async def client(running: Running) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with httpx.AsyncClient(base_url=running.url) as client:
        yield client


async def test_an_upload_and_its_answer(mesh: FakeMesh, client: httpx.AsyncClient) -> None:
    async def echo(request: Request) -> bytes:
        return await request.body()

    async def chunks() -> AsyncGenerator[bytes, None]:
        for _ in range(20):
            yield b"x" * 50_000

    await mesh.serve("/", echo)
    assert (await client.post("/", content=b"small")).content == b"small"
    assert (await client.post("/", content=b"y" * 3_000_000)).content == b"y" * 3_000_000
    assert (await client.post("/", content=chunks())).content == b"x" * 1_000_000


async def test_paths_and_queries_are_decoded_once(mesh: FakeMesh, client: httpx.AsyncClient) -> None:
    async def tell(request: Request) -> list[str]:
        return [request["path"], request["raw_path"].decode(), request.query_params["q"], request.url.path]

    await mesh.serve("/a", tell)
    answer = await client.get("/a/b%20c%2Fd?q=1%202")
    assert answer.json() == ["/b c/d", "/a/b%20c%2Fd", "1 2", "/a/b c/d"]


async def test_head_and_no_content(mesh: FakeMesh, client: httpx.AsyncClient) -> None:
    async def answer(request: Request) -> object:
        return "body" if request.method == "HEAD" else PlainTextResponse(status_code=204)

    await mesh.serve("/", answer)
    head = await client.head("/")
    assert (head.content, head.headers["content-length"]) == (b"", "4")
    assert (await client.get("/")).status_code == 204


async def test_a_body_over_the_limit_is_refused_and_the_connection_is_of_use(
    mesh: FakeMesh, client: httpx.AsyncClient
) -> None:
    async def echo(request: Request) -> bytes:
        return await request.body()

    await mesh.serve("/", echo, DeploymentConfig(max_body_bytes=1000))
    assert (await client.post("/", content=b"x" * 1001)).status_code == 413
    assert (await client.post("/", content=b"x")).content == b"x"


async def test_the_client_sees_that_an_answer_was_cut_off(mesh: FakeMesh, client: httpx.AsyncClient) -> None:
    async def words() -> AsyncGenerator[str, None]:
        yield "one"
        raise ValueError("broken")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words())

    await mesh.serve("/", stream)
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        await client.get("/")


async def test_a_client_that_hangs_up_cancels_the_work(mesh: FakeMesh, running: Running) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(request: Request) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await mesh.serve("/", work)
    _, writer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    writer.close()
    async with asyncio.timeout(5):
        await cancelled.wait()


async def test_stopping_ends_what_was_begun_and_takes_nothing_new(mesh: FakeMesh, running: Running) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work(request: Request) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    await mesh.serve("/", work)
    reader, writer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    running.server.stop()
    await running.refuses()
    go_on.set()
    assert (await reader.read()).endswith(b"\r\n\r\ndone")
    await running.task
    writer.close()


async def test_stopping_cuts_off_what_takes_too_long(
    mesh: FakeMesh, running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "DRAIN_S", 0.05)
    begun = asyncio.Event()

    async def work(request: Request) -> None:
        begun.set()
        await asyncio.Event().wait()

    await mesh.serve("/", work)
    reader, writer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await begun.wait()
    running.server.stop()
    async with asyncio.timeout(5):
        await running.task
        assert (await reader.read()).startswith(b"HTTP/1.1 500 ")
    assert "cut off" in caplog.text
    assert "Traceback" not in caplog.text
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["unused", "used"])
async def test_stopping_closes_a_connection_that_stays_silent(
    mesh: FakeMesh, running: Running, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    async def work(request: Request) -> str:
        return "done"

    monkeypatch.setattr(connection, "IDLE_S", 0.05)
    await mesh.serve("/", work)
    reader, writer = await running.exchange(sent)
    if sent:
        await reader.readuntil(b"done")
    running.server.stop()
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_an_answer_that_has_begun_leaves_its_connection_open_for_one_more(
    mesh: FakeMesh, running: Running
) -> None:
    go_on = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        yield "begun"
        await go_on.wait()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words())

    await mesh.serve("/", stream)
    reader, writer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"begun\r\n")
        running.server.stop()
        await running.refuses()
        go_on.set()
        await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        second = await reader.read()
    assert b"connection: close" not in head
    assert b"connection: close" in second
    assert second.endswith(b"begun\r\n0\r\n\r\n")
    writer.close()


class Transport(asyncio.Transport):
    """Keeps what was written, and says when."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data))

    def is_closing(self) -> bool:
        return "closed" in self.told

    def close(self) -> None:
        self.told.append("closed")


async def test_writes_of_one_tick_are_one() -> None:
    transport = Transport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.write(b"head ")
    joined.write(b"body")
    assert transport.told == []
    await asyncio.sleep(0)
    joined.write(b"next")
    await asyncio.sleep(0)
    assert transport.told == [b"head body", b"next"]


async def test_all_that_was_written_goes_before_the_end() -> None:
    transport = Transport()
    joined = JoinedWrites(transport, asyncio.get_running_loop())
    joined.write(b"last words")
    joined.close()
    await asyncio.sleep(0)
    assert transport.told == [b"last words", "closed"]
    assert joined.is_closing()


async def test_the_head_of_a_stream_does_not_wait_for_its_body(mesh: FakeMesh, running: Running) -> None:
    go_on = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        await go_on.wait()
        yield "late"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words())

    await mesh.serve("/", stream)
    reader, writer = await running.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        go_on.set()
        assert b"late" in await reader.read()
    writer.close()


async def test_an_exchange_leaves_no_rings(mesh: FakeMesh, client: httpx.AsyncClient) -> None:
    async def answer(request: Request) -> str:
        return request.query_params["q"]

    await mesh.serve("/", answer)
    assert (await client.get("/?q=1")).text == "1"
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert (await client.get("/?q=1")).text == "1"
        gc.collect()
        left = [kind.__qualname__ for kind in map(type, gc.garbage) if kind.__module__.split(".")[0] in _OURS]
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()
    assert left == []


_OURS = {"mesh", "http_bridge", "starlette"}
