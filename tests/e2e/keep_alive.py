"""HTTP clients that keep their connections open, and do so as the protocol wants it; nothing is ever sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back, and whether the server said that it was the last one of its connection."""

    status: int
    body: bytes
    is_last: bool


class KeepAlive:
    """One connection at a time to ``url``; another one when the server has ended it between two requests."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url)
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.connections = 0
        """How many there have been."""

    async def get(self, path: str = "/") -> Answer:
        """Raises OSError or EOFError when there is no whole answer."""
        if self._connection is not None and self._connection[0].at_eof():
            self.close()
        if self._connection is None:
            assert self._place.hostname is not None
            self._connection = await asyncio.open_connection(self._place.hostname, self._place.port)
            self.connections += 1
        reader, writer = self._connection
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._place.netloc}\r\n\r\n".encode())
            answer = await _read_answer(reader)
        except BaseException:
            self.close()
            raise
        if answer.is_last:
            self.close()
        return answer

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


class Clients:
    """So many of them, each used by one caller at a time::

    async with Clients(url, 16) as clients:
        await clients.get("/")
    """

    def __init__(self, url: str, number: int) -> None:
        self.all = [KeepAlive(url) for _ in range(number)]
        self._free: asyncio.LifoQueue[KeepAlive] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        for client in self.all:
            self._free.put_nowait(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self.all:
            client.close()

    async def get(self, path: str) -> Answer:
        """By any of them that is free."""
        client = await self._free.get()
        try:
            return await client.get(path)
        finally:
            self._free.put_nowait(client)


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    body = b"".join([piece async for piece in _pieces(reader, headers)])
    return Answer(int(head.split()[1]), body, headers.get(b"connection") == b"close")


async def _pieces(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> AsyncIterator[bytes]:
    if b"content-length" in headers:
        yield await reader.readexactly(int(headers[b"content-length"]))
        return
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
