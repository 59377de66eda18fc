"""Callers that give up: every kind of call, begun and left after a moment that is drawn."""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import numpy as np

import mesh
from mesh.errors import DeadlineExceeded, RequestCancelled
from tests.services.patience import LARGE_BYTES

LONGEST_S = 0.01
"""No call is waited for longer than this."""

_HOST = "127.0.0.1"  # no name: looking one up takes threads of this process

Kind = Callable[[random.Random], Awaitable[None]]


class GivingUp:
    """Callers of a :class:`tests.services.patience.Front` and of the back behind it."""

    def __init__(self, front: mesh.DeploymentHandle, back: mesh.DeploymentHandle, url: str) -> None:
        self._front = front
        self._back = back
        self._port = urlsplit(url).port
        self._array = np.ones(LARGE_BYTES, np.uint8)
        self.given_up: Counter[str] = Counter()
        """How many calls were left before they had ended, by kind."""
        self.kinds: dict[str, tuple[int, Kind]] = {
            "unary": (20, lambda draw: self._cancelled(draw, self._back.wait())),
            "unary, cancelled by its own method": (10, self._by_method),
            "unary, past its deadline": (10, self._past_deadline),
            "def": (10, lambda draw: self._cancelled(draw, self._back.wait_on_turn(0.001))),
            "two hops": (10, lambda draw: self._cancelled(draw, self._front.wait())),
            "two hops, def": (5, lambda draw: self._cancelled(draw, self._front.wait_on_turn())),
            "batch": (10, lambda draw: self._cancelled(draw, self._back.gathered(1))),
            "array": (3, lambda draw: self._cancelled(draw, self._front.look(self._array))),
            "array back": (2, lambda draw: self._cancelled(draw, self._front.make())),
            "stream": (10, lambda draw: self._read(draw, self._back.count)),
            "stream, def": (5, lambda draw: self._read(draw, self._back.count_on_turn)),
            "stream, passed on": (5, lambda draw: self._read(draw, self._front.pass_on.options(stream=True))),
            "HTTP": (5, lambda draw: self._web(draw, "wait")),
            "HTTP stream": (3, lambda draw: self._web(draw, "stream")),
            "WebSocket": (3, self._socket),
        }

    async def many(self, number: int, at_a_time: int, seed: int) -> None:
        """So many calls, of kinds and for moments that are drawn."""
        draw = random.Random(seed)
        await self._give_up(draw, iter(self._drawn(draw, number)), at_a_time)

    async def until(self, end_s: float, at_a_time: int, seed: int) -> None:
        """The same until a moment of the monotonic clock."""
        draw = random.Random(seed)
        await self._give_up(
            draw, (self._drawn(draw, 1)[0] for _ in iter(lambda: monotonic() < end_s, False)), at_a_time
        )

    def _drawn(self, draw: random.Random, number: int) -> list[str]:
        names = list(self.kinds)
        return draw.choices(names, [self.kinds[name][0] for name in names], k=number)

    async def _give_up(self, draw: random.Random, names: Iterator[str], at_a_time: int) -> None:
        async def give_up_again_and_again() -> None:
            for name in names:
                self.given_up[name] += 1
                await self.kinds[name][1](draw)

        await asyncio.gather(*(give_up_again_and_again() for _ in range(at_a_time)))

    async def _cancelled(self, draw: random.Random, call: Coroutine[Any, Any, Any]) -> None:
        """The task that waits is cancelled."""
        waiting = asyncio.ensure_future(call)
        await asyncio.wait((waiting,), timeout=draw.uniform(0, LONGEST_S))
        waiting.cancel()
        with suppress(asyncio.CancelledError, RequestCancelled):
            await waiting

    async def _by_method(self, draw: random.Random) -> None:
        response = self._back.wait.remote()
        await asyncio.sleep(draw.uniform(0, LONGEST_S))
        response.cancel()
        with suppress(asyncio.CancelledError, RequestCancelled):
            await (await response)

    async def _past_deadline(self, draw: random.Random) -> None:
        with suppress(DeadlineExceeded):
            await self._back.wait.options(timeout_s=draw.uniform(0.001, LONGEST_S))()

    async def _read(self, draw: random.Random, method: mesh.DeploymentHandle) -> None:
        left = draw.randrange(30)
        items = method.remote()
        if left:
            async for _ in items:
                if not (left := left - 1):
                    break
        items.cancel()

    async def _web(self, draw: random.Random, do: str) -> None:
        reader, writer = await asyncio.open_connection(_HOST, self._port)
        writer.write(b"GET /?do=%b HTTP/1.1\r\nhost: x\r\n\r\n" % do.encode())
        await self._leave(draw, reader, writer)

    async def _socket(self, draw: random.Random) -> None:
        reader, writer = await asyncio.open_connection(_HOST, self._port)
        key = base64.b64encode(os.urandom(16))
        writer.write(
            b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n" % key
        )
        await self._leave(draw, reader, writer)

    async def _leave(self, draw: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Goes away without a word, with or without having read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(draw.uniform(0, 3 * LONGEST_S)):
                await reader.read(100)
        writer.transport.abort()
