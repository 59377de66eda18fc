"""Waiting until bridge and door know an application, with servers that say what they are told to say."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh import reachable
from mesh.reachable import wait_reachable, wait_serving


class FakeBridge:
    """Gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def listen(self, line: Path) -> str:
        self._server = await asyncio.start_unix_server(self._answer, str(line))
        return str(line)

    async def close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /-/routes ")
        writer.write(self.answers[min(self.asked, len(self.answers) - 1)])
        self.asked += 1
        writer.close()


Listen = Callable[[FakeBridge], Awaitable[str]]
"""Opens a bridge's line."""


def routes(table: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\n\r\n" + table


@pytest.fixture
async def listen(tmp_path: Path) -> AsyncGenerator[Listen, None]:
    bridges: list[FakeBridge] = []

    async def listen(bridge: FakeBridge) -> str:
        bridges.append(bridge)
        return await bridge.listen(tmp_path / str(len(bridges)))

    yield listen
    for bridge in bridges:
        await bridge.close()


async def test_it_waits_until_the_route_leads_to_the_deployment(listen: Listen) -> None:
    bridge = FakeBridge(
        b"", routes(b"starting", b"503 -"), routes(b"{}"), routes(b'{"/a": "old"}'), routes(b'{"/a": "new"}')
    )
    assert await wait_reachable([await listen(bridge)], "/a", "new")
    assert bridge.asked == 5


async def test_it_waits_for_every_bridge(listen: Listen) -> None:
    quick, slow = FakeBridge(routes(b'{"/a": "new"}')), FakeBridge(routes(b"{}"), routes(b'{"/a": "new"}'))
    assert await wait_reachable([await listen(quick), await listen(slow)], "/a", "new")
    assert (quick.asked, slow.asked) == (1, 2)


async def test_it_does_not_wait_for_ever(listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "ROUTE_TIMEOUT_S", 0.05)
    knows = await listen(FakeBridge(routes(b'{"/a": "new"}')))
    assert not await wait_reachable([knows, str(tmp_path / "nobody")], "/a", "new")


class FakeDoor(health_pb2_grpc.HealthServicer):
    """Answers about the application "shop": unknown, then not serving, then serving."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        self.asked.append(request.service)
        if len(self.asked) == 1:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not yet")
        return health_pb2.HealthCheckResponse(status=1 if len(self.asked) > 2 else 2)


async def test_it_waits_until_the_door_serves_the_application() -> None:
    door = FakeDoor()
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(door, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        assert await wait_serving("127.0.0.1", port, "shop")
    finally:
        await server.stop(0)
    assert door.asked == ["shop"] * 3


async def test_it_does_not_wait_for_a_door_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "ROUTE_TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert not await wait_serving("127.0.0.1", port, "shop")
