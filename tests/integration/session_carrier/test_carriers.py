"""Both carriers over real sockets: the same promises for gRPC and for the unix socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import grpc
import grpc.aio
import pytest

from mesh.carrier import LARGEST_BATCH_BYTES, Carrier, GrpcStream, Listener, Passenger, UnixSocket
from mesh.connect import SESSION_METHOD, carry_by_grpc
from mesh.token import TokenInterceptor

TOKEN = "the token of these tests"
LIMIT_S = 20


@dataclass
class Side:
    """A passenger that gives what a test puts there and remembers what it was told."""

    to_send: list[bytes] = field(default_factory=list)
    came: list[bytes] = field(default_factory=list)
    losses: list[BaseException | None] = field(default_factory=list)
    carrier: Carrier | None = None
    cannot_read: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> bytes | None:
        return self.to_send.pop(0) if self.to_send else None

    def arrived(self, batch: bytes) -> None:
        if self.cannot_read:
            raise ValueError("not a batch")
        self.came.append(batch)
        self.changed.set()

    def lost(self, error: BaseException | None) -> None:
        self.losses.append(error)
        self.changed.set()

    def send(self, *batches: bytes) -> None:
        self.to_send += batches
        assert self.carrier is not None
        self.carrier.wake()

    async def wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


Connect = Callable[[Passenger, str], Carrier]


@dataclass
class Replica:
    """What listens: the side of each connection that was accepted."""

    connect: Connect
    accepted: list[Side] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def accept(self, carrier: Carrier) -> Side:
        self.accepted.append(Side(carrier=carrier))
        self.changed.set()
        return self.accepted[-1]

    async def first(self) -> Side:
        async with asyncio.timeout(LIMIT_S):
            while not self.accepted:
                await self.changed.wait()
        return self.accepted[0]


@asynccontextmanager
async def on_unix_socket(folder: Path) -> AsyncIterator[Replica]:
    path = str(folder / "frames.sock")
    replica = Replica(lambda passenger, token: UnixSocket.connecting(path, token, passenger))
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: Listener(TOKEN, replica.accept), path)
    try:
        yield replica
    finally:
        server.close()


@asynccontextmanager
async def on_grpc(folder: Path) -> AsyncIterator[Replica]:
    address = f"unix:{folder / 'grpc.sock'}"
    replica = Replica(lambda passenger, token: carry_by_grpc(address, token, passenger))

    async def session(_: object, stream: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        side = Side()
        side.carrier = carrier = GrpcStream(stream, side)
        replica.accepted.append(side)
        replica.changed.set()
        try:
            await carrier.wait_lost()
        finally:
            carrier.close()

    server = grpc.aio.server(interceptors=(TokenInterceptor(TOKEN),))
    service, method = SESSION_METHOD.strip("/").split("/")
    handlers = {method: grpc.stream_stream_rpc_method_handler(session)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_insecure_port(address)
    await server.start()
    try:
        yield replica
    finally:
        await server.stop(None)


@pytest.fixture(params=[on_grpc, on_unix_socket], ids=["grpc", "unix socket"])
async def replica(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replica]:
    async with request.param(tmp_path) as listening:
        yield listening


@pytest.fixture(autouse=True)
async def all_is_closed() -> AsyncIterator[None]:
    """Channels close in tasks of their own, and gRPC does not forgive a loop that ends before them."""
    yield
    async with asyncio.timeout(LIMIT_S):
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)


@pytest.fixture
async def caller(replica: Replica) -> AsyncIterator[Side]:
    side = Side()
    side.carrier = replica.connect(side, TOKEN)
    yield side
    side.carrier.close()


async def test_batches_arrive_whole_and_in_order_both_ways(replica: Replica, caller: Side) -> None:
    batches = [b"%d" % number * (number % 7) for number in range(200)]
    caller.send(*batches)
    far = await replica.first()
    await far.wait(lambda: len(far.came) == 200)
    far.send(*reversed(batches))
    await caller.wait(lambda: len(caller.came) == 200)
    assert (far.came, caller.came) == (batches, batches[::-1])


async def test_what_is_given_before_there_is_a_connection_is_sent_when_there_is_one(
    replica: Replica, caller: Side
) -> None:
    caller.send(b"early")
    far = await replica.first()
    await far.wait(lambda: far.came == [b"early"])


async def test_what_is_said_in_a_long_tick_does_not_wait_for_its_end(tmp_path: Path) -> None:
    async with on_unix_socket(tmp_path) as replica:
        caller = Side()
        caller.carrier = replica.connect(caller, TOKEN)
        caller.send(b"first")
        far = await replica.first()
        await far.wait(lambda: far.came == [b"first"])
        caller.send(b"early")
        tick_began_s = monotonic()
        while monotonic() - tick_began_s < 0.01:
            pass  # the loop is busy
        caller.send(b"late")
        assert caller.to_send == []  # this coroutine has not given the loop away, and both have left
        await far.wait(lambda: far.came == [b"first", b"early", b"late"])
        caller.carrier.close()


async def test_large_batches_arrive_while_the_other_side_sends_its_own(replica: Replica, caller: Side) -> None:
    large = [bytes([number]) * 1_300_000 for number in range(8)]
    caller.send(*large)
    far = await replica.first()
    far.send(*large)
    await far.wait(lambda: len(far.came) == 8)
    await caller.wait(lambda: len(caller.came) == 8)
    assert far.came == caller.came == large


async def test_end_of_the_caller_is_told_to_both_once(replica: Replica, caller: Side) -> None:
    caller.send(b"x")
    far = await replica.first()
    await far.wait(lambda: far.came == [b"x"])
    assert caller.carrier is not None
    caller.carrier.close()
    caller.carrier.close()
    await far.wait(lambda: bool(far.losses))
    assert (len(caller.losses), len(far.losses)) == (1, 1)


async def test_end_of_the_replica_is_told_to_both_once(replica: Replica, caller: Side) -> None:
    caller.send(b"x")
    far = await replica.first()
    await far.wait(lambda: far.came == [b"x"])
    assert far.carrier is not None
    far.carrier.close()
    await caller.wait(lambda: bool(caller.losses))
    assert (len(caller.losses), len(far.losses)) == (1, 1)


async def test_stranger_without_the_token_is_cut_off_before_anything_is_read(replica: Replica) -> None:
    side = Side(to_send=[b"anything"])
    side.carrier = replica.connect(side, "another token")
    await side.wait(lambda: bool(side.losses))
    assert replica.accepted == []


async def test_nobody_listening_is_told_as_a_loss_and_nothing_is_taken(tmp_path: Path) -> None:
    for connect in (
        lambda side: UnixSocket.connecting(str(tmp_path / "none.sock"), TOKEN, side),
        lambda side: carry_by_grpc(f"unix:{tmp_path / 'none.sock'}", TOKEN, side),
    ):
        side = Side(to_send=[b"x"])
        side.carrier = connect(side)
        await side.wait(lambda side=side: bool(side.losses))  # type: ignore[misc]
        assert side.to_send == [b"x"]


async def test_passenger_that_cannot_read_a_batch_loses_its_carrier(replica: Replica, caller: Side) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: None)  # it is told there, too
    caller.send(b"x")
    far = await replica.first()
    await far.wait(lambda: far.came == [b"x"])
    far.cannot_read = True
    caller.send(b"y")
    await caller.wait(lambda: bool(caller.losses))
    assert len(far.losses) == 1


async def test_nothing_is_sent_before_somebody_has_answered(tmp_path: Path) -> None:
    """The kernel takes connections and bytes for a process that is stopped, or has no descriptor left for them."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "silent.sock"))
        listening.listen()
        side = Side()
        side.carrier = UnixSocket.connecting(str(tmp_path / "silent.sock"), TOKEN, side)
        side.send(b"x")
        connection, _ = await asyncio.to_thread(listening.accept)
        greeting = message(TOKEN.encode())
        assert await asyncio.to_thread(connection.recv, 4096) == greeting
        connection.close()
        await side.wait(lambda: bool(side.losses))
        assert side.to_send == [b"x"], "it may be sent elsewhere"


async def send_raw(path: str, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    answer = await asyncio.wait_for(reader.read(), LIMIT_S)
    writer.close()
    return answer


def message(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


async def test_greeting_and_batches_may_come_in_any_pieces(tmp_path: Path) -> None:
    async with on_unix_socket(tmp_path) as replica:
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "frames.sock"))
        for byte in message(TOKEN.encode()) + message(b"first") + message(b"") + message(b"last"):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        far = await replica.first()
        await far.wait(lambda: len(far.came) == 3)
        assert far.came == [b"first", b"", b"last"]
        writer.close()


async def test_length_that_no_batch_has_ends_the_connection(tmp_path: Path) -> None:
    async with on_unix_socket(tmp_path) as replica:
        too_long = (LARGEST_BATCH_BYTES + 1).to_bytes(4, "big")
        assert await send_raw(str(tmp_path / "frames.sock"), message(TOKEN.encode()) + too_long) == message(b"")
        assert len((await replica.first()).losses) == 1
