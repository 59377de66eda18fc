"""The client of the streaming benchmark: what it counts as a chunk, and what it takes for a failure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.stream_client import Connection

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Transport:
    """Takes requests."""

    def write(self, data: bytes) -> None:
        assert data.startswith(b"GET /stream?kind=chunks HTTP/1.1\r\n")


@pytest.fixture
def chunks() -> list[bytes]:
    return []


@pytest.fixture
async def connection(chunks: list[bytes]) -> Connection:
    connection = Connection("http://127.0.0.1:1/stream", chunks.append)
    transport: Any = Transport()
    connection.connection_made(transport)
    return connection


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_chunks_are_those_of_the_encoding_however_they_are_read(
    connection: Connection, chunks: list[bytes], size: int
) -> None:
    wire = HEAD + b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    for _ in range(2):  # two responses over one connection
        answered = asyncio.ensure_future(connection.get("kind=chunks"))
        await asyncio.sleep(0)
        for begin in range(0, len(wire), size):
            connection.data_received(wire[begin : begin + size])
        await answered
    assert chunks == [b"first", b"second"] * 2


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        pytest.param(HEAD + b"5\r\nfirst\r\n", "in the middle of a response", id="cut"),
        pytest.param(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "answered 503", id="refused"),
    ],
)
async def test_a_response_that_is_not_good_is_an_error(connection: Connection, wire: bytes, says: str) -> None:
    answered = asyncio.ensure_future(connection.get("kind=chunks"))
    await asyncio.sleep(0)
    connection.data_received(wire)
    connection.connection_lost(None)
    with pytest.raises(RuntimeError, match=says):
        await answered
