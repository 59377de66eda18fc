"""A connection whose other end is gone without a word: both ends of a session over gRPC find out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from mesh.carrier import GrpcStream
from mesh.connect import carry_by_grpc
from sidecar.server import SERVER_OPTIONS

LIMIT_S = 40
"""Pings go out after five seconds and have to be answered within five more."""


class Side:
    """A passenger that says one thing, and remembers what it heard and that it is over."""

    def __init__(self) -> None:
        self._to_send = [b"here"]
        self.heard = asyncio.Event()
        self.is_lost = asyncio.Event()

    def take(self) -> bytes | None:
        return self._to_send.pop() if self._to_send else None

    def arrived(self, batch: bytes) -> None:
        self.heard.set()

    def lost(self, error: BaseException | None) -> None:
        self.is_lost.set()


class Wire:
    """Passes bytes on between two connections until it is cut; then it keeps both open and passes on nothing."""

    def __init__(self) -> None:
        self._is_cut = False
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        self._is_cut = True

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[int]:
        """The port to connect to instead of ``port``."""

        async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            for source, target in ((reader, far_writer), (far_reader, writer)):
                self._tasks.add(asyncio.create_task(self._pass_on(source, target)))

        server = await asyncio.start_server(join, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                if not self._is_cut:
                    target.write(piece)
            if self._is_cut:
                await asyncio.get_running_loop().create_future()  # nobody hears of the end, either
        finally:
            target.close()


async def test_both_ends_of_a_half_open_session_find_out() -> None:
    replica, caller = Side(), Side()

    async def session(_: object, stream: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        carrier = GrpcStream(stream, replica)
        try:
            await carrier.wait_lost()
        finally:
            carrier.close()

    server = grpc.aio.server(options=SERVER_OPTIONS)
    handlers = {"Session": grpc.stream_stream_rpc_method_handler(session)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("mesh.v1.ReplicaService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    wire = Wire()
    try:
        async with wire.to(port) as way:
            carry_by_grpc(f"127.0.0.1:{way}", "a token", caller)
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(replica.heard.wait(), caller.heard.wait())
                wire.cut()
                await asyncio.gather(replica.is_lost.wait(), caller.is_lost.wait())
    finally:
        await server.stop(None)
