"""Waiting until the bridge knows a route, with a server that says what it is told to say."""

from __future__ import annotations

import asyncio

import pytest

from mesh import reachable
from mesh.reachable import wait_reachable


class FakeBridge:
    """Gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /-/routes ")
        writer.write(self.answers[min(self.asked, len(self.answers) - 1)])
        self.asked += 1
        writer.close()


def routes(table: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\n\r\n" + table


async def test_it_waits_until_the_route_leads_to_the_deployment() -> None:
    bridge = FakeBridge(
        b"", routes(b"starting", b"503 -"), routes(b"{}"), routes(b'{"/a": "old"}'), routes(b'{"/a": "new"}')
    )
    async with bridge as port:
        assert await wait_reachable("127.0.0.1", port, "/a", "new")
    assert bridge.asked == 5


@pytest.fixture
async def closed_port() -> int:
    async with FakeBridge() as port:
        pass
    return port


async def test_it_does_not_wait_for_ever(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "ROUTE_TIMEOUT_S", 0.05)
    assert not await wait_reachable("127.0.0.1", closed_port, "/a", "new")
