"""WebSockets as a client meets them: through the bridge, to a Starlette WebSocket in a replica."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

import mesh
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import RunningMesh
from tests.services import sockets as services
from tests.services.handles import Gate

pytestmark = pytest.mark.feature("44h")


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deployed(own_mesh: RunningMesh) -> RunningMesh:
    gate = Gate.options(max_ongoing_requests=100).bind()
    mesh.run(services.Chat.bind(gate), name="chat", route_prefix="/chat")
    mesh.run(services.Both.bind(), name="both", route_prefix="/both")
    mesh.run(services.Neither.bind(), name="neither", route_prefix="/neither")
    mesh.run(services.Chat.options(max_body_bytes=1000).bind(gate), name="small", route_prefix="/small")
    return own_mesh


@pytest.fixture
def at(deployed: RunningMesh) -> str:
    return deployed.url.replace("http", "ws", 1)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a gate that no other test uses."""
    return str(request.node.name)


def _gate() -> mesh.DeploymentHandle:
    return mesh.DeploymentHandle("chat", "Gate")


@asynccontextmanager
async def _limited() -> AsyncIterator[None]:
    async with asyncio.timeout(LIMIT_S):
        yield


async def _end(socket: ClientConnection) -> tuple[int, str]:
    """The close code and the reason, after all messages."""
    async with _limited():
        with suppress(ConnectionClosed):
            while True:
                await socket.recv()
        await socket.wait_closed()
    return socket.close_code or 0, socket.close_reason or ""


async def _standing_still(count: Callable[[], Awaitable[int]]) -> int:
    """A number as soon as it has begun and stays the same for a while."""
    before, now = 0, await count()
    while before != now or not now:
        await asyncio.sleep(0.2)
        before, now = now, await count()
    return now


async def test_text_and_bytes_there_and_back(at: str) -> None:
    async with _limited(), connect(f"{at}/chat?do=echo") as socket:
        assert socket.response is not None
        assert socket.response.headers["x-served-by"] == "chat"
        assert socket.response.headers["x-request-id"]
        for message in ("a ünïcode text", b"\x00\xff", "", b"", "x" * 1_000_000, bytes(1_000_000)):
            await socket.send(message)
            assert await socket.recv() == message


async def test_replica_knows_path_and_prefix(at: str) -> None:
    async with _limited(), connect(f"{at}/chat/a/b?do=tell") as socket:
        path, prefix, whole, _ = json.loads(await socket.recv())
        assert (path, prefix, whole) == ("/a/b", "/chat", "/chat/a/b")
        assert await _end(socket) == (1000, "")


async def test_subprotocol_is_chosen_and_close_code_comes_back(at: str) -> None:
    async with connect(f"{at}/chat?do=choose", subprotocols=[Subprotocol("a"), Subprotocol("b")]) as socket:
        assert socket.subprotocol == "b"
        assert await _end(socket) == (4321, "enough")


async def test_close_code_of_the_client_reaches_the_replica(at: str) -> None:
    async with connect(f"{at}/chat?do=code") as socket:
        await socket.close(4567, "my reason")
    async with _limited():
        await _gate().wait("4567 my reason")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        pytest.param("/chat?do=refuse", 418, "no coffee", id="by an HTTPException"),
        pytest.param("/chat?do=deny", 403, "not you", id="by closing it"),
        pytest.param("/chat?do=broken", 500, "LookupError: before it was accepted", id="by failing"),
        pytest.param("/neither", 403, "takes no WebSocket", id="by a deployment that has none"),
        pytest.param("/nowhere", 404, "No deployment answers", id="where nothing is"),
        pytest.param("/-/routes", 404, "No deployment answers", id="at a page of the bridge"),
    ],
)
async def test_handshake_is_refused(at: str, path: str, status: int, text: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with _limited(), connect(f"{at}{path}"):
            pass
    assert refused.value.response.status_code == status
    assert text in refused.value.response.body.decode()


async def test_error_after_the_handshake_is_1011_and_says_which(at: str) -> None:
    async with connect(f"{at}/chat?do=raise") as socket:
        await socket.send("go")
        code, reason = await _end(socket)
    assert code == 1011
    assert "no such thing" in reason


async def test_user_code_says_how_it_ends(at: str) -> None:
    async with connect(f"{at}/chat?do=policy") as socket:
        assert await _end(socket) == (1008, "against the rules")


async def test_client_that_leaves_cancels_what_works_for_it(at: str, key: str) -> None:
    async with connect(f"{at}/chat?do=wait&key={key}") as socket:
        assert await socket.recv() == "waiting"
        await _gate().begun(key)
    async with asyncio.timeout(20):  # long before the deadline of the gate
        await _gate().cancelled(key)


async def test_slow_client_holds_its_producer(at: str) -> None:
    chat = mesh.DeploymentHandle("chat", "Chat")
    async with connect(f"{at}/chat?do=flood", max_queue=1, compression=None) as socket:
        for _ in range(30):
            await socket.recv()
        async with _limited():
            assert await _standing_still(chat.sent_so_far) < 1000
        socket.transport.abort()


async def test_slow_replica_holds_its_client(at: str, key: str) -> None:
    async with _limited(), connect(f"{at}/chat?do=slow&key={key}", compression=None) as socket:
        await _gate().begun(key)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(300):
                await socket.send(bytes(100_000))
                sent += 1
            await socket.send(b"")

        sending = asyncio.create_task(send())

        async def count() -> int:
            return sent

        assert await _standing_still(count) < 300
        await _gate().open(key)
        assert await socket.recv() == "30000000"
        await sending


async def test_websocket_has_no_deadline(at: str) -> None:
    async with _limited(), connect(f"{at}/chat?do=silent") as socket:
        assert await socket.recv() == "still here"  # after the timeout of the deployment


async def test_one_callable_for_requests_and_websockets(deployed: RunningMesh, at: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{deployed.url}/both")).text == "request"
    async with _limited(), connect(f"{at}/both") as socket:
        assert await socket.recv() == "websocket"


def test_request_to_a_callable_that_takes_websockets_only(deployed: RunningMesh) -> None:
    answer = httpx.get(f"{deployed.url}/chat?do=echo")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")


async def test_death_of_the_replica_is_1012(at: str) -> None:
    async with connect(f"{at}/chat?do=tell") as socket:
        pid = json.loads(await socket.recv())[-1]
    async with connect(f"{at}/chat?do=echo") as socket:
        await socket.send("are you there")
        await socket.recv()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            async with _limited():
                await socket.recv()
        assert socket.close_code == 1012


async def test_messages_have_the_limit_of_their_deployment(at: str) -> None:
    large = bytes(20 * 1024 * 1024)  # more than servers take that have a limit of their own
    async with _limited(), connect(f"{at}/chat?do=echo", max_size=None, compression=None) as socket:
        await socket.send(large)
        assert await socket.recv() == large
    async with _limited(), connect(f"{at}/small?do=echo") as socket:
        await socket.send(bytes(1000))
        assert await socket.recv() == bytes(1000)


@pytest.mark.parametrize("size_bytes", [1001, 5_000_000], ids=["by a byte", "by far"])
@pytest.mark.parametrize("compression", ["deflate", None], ids=["deflated", "plain"])
async def test_a_message_over_the_limit_is_1009(at: str, size_bytes: int, compression: str | None) -> None:
    async with _limited():
        # Without "async with": what was reset cannot be closed again, the library says (AttributeError in abort).
        socket = await connect(f"{at}/small?do=echo", compression=compression)
        with suppress(ConnectionClosed):
            await socket.send(os.urandom(size_bytes))
        code, reason = await _end(socket)
    assert (code, "1000" in reason) == (1009, True)


async def test_the_pieces_of_a_message_count_together(at: str) -> None:
    async with _limited(), connect(f"{at}/small?do=echo", compression=None) as socket:
        with suppress(ConnectionClosed):
            await socket.send([bytes(400)] * 3)
        assert (await _end(socket))[0] == 1009


async def test_a_client_that_is_still_sending_hears_what_was_wrong(deployed: RunningMesh) -> None:
    """Whoever closes a connection with something unread in it resets it, and takes its own last words back."""
    async with _limited():
        reader, writer = await asyncio.open_connection("127.0.0.1", int(deployed.url.rpartition(":")[2]))
        writer.write(
            b"GET /small?do=echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        size_bytes = 20_000_000
        writer.write(b"\x82\xff" + size_bytes.to_bytes(8, "big") + bytes(4))  # binary, masked with zeros
        for _ in range(20):
            writer.write(bytes(size_bytes // 20))
            await writer.drain()
        said = await reader.read()
        writer.close()
    assert said[0] == 0x88  # close
    assert int.from_bytes(said[2:4], "big") == 1009
