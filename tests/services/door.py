"""Deployments that clients of the door call: every kind of method, argument, answer and end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any

import numpy
from starlette.responses import PlainTextResponse

import mesh
from mesh.context import current
from mesh.deadline import left_s


@dataclass
class Point:
    """A user's value."""

    x: int


@mesh.deployment(max_body_bytes=1_000_000)
class Clerk:
    """Says what has come, as a method and as a stream."""

    def __init__(self, gate: mesh.DeploymentHandle, greet: mesh.DeploymentHandle) -> None:
        self._gate = gate
        self._greet = greet
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def kind(self, value: Any = "nothing") -> str:
        """The argument's type and value."""
        return f"{type(value).__name__} {value!r}"

    def kind_on_turn(self, value: Any = "nothing") -> str:
        """The same as a plain method."""
        return f"{type(value).__name__} {value!r}"

    def size(self, body: bytes) -> int:
        """How many bytes have come."""
        return len(body)

    async def reversed(self, body: bytes) -> bytes:
        """Bytes, backwards."""
        return body[::-1]

    async def values(self) -> dict[str, Any]:
        """Values that JSON does not know, and a call that has not ended."""
        ref = self._greet.remote("Ada")
        return {"array": numpy.arange(2), "point": Point(1), "nan": float("nan"), "ref": ref}

    async def passed_on(self) -> Any:
        """A response as the whole answer."""
        return self._greet.remote("Ada")

    def sum_of_two(self, left: int, right: int) -> int:
        """Takes more than passes the door."""
        return left + right

    async def seconds_left(self) -> float:
        """How long the client still waits."""
        request = current.get()
        assert request is not None
        return left_s(request.deadline)

    async def fails(self) -> None:
        """What the user's code raises."""
        raise LookupError("no such cat")

    async def fails_at_length(self) -> None:
        """A message that no trailing metadata can hold."""
        raise ValueError("\N{CAT FACE}" * 20_000)

    async def lock(self) -> object:
        """A result that JSON does not know."""
        return threading.Lock()

    async def response(self) -> PlainTextResponse:
        """A result that only HTTP can carry."""
        return PlainTextResponse("hello")

    async def count(self, number: int) -> AsyncGenerator[dict[str, int], None]:
        """Yields on the loop."""
        for n in range(number):
            yield {"n": n}

    def count_on_turn(self, number: int) -> Generator[bytes, None, None]:
        """Yields bytes, on the turn."""
        for n in range(number):
            yield bytes(n)

    async def breaks(self, number: int) -> AsyncGenerator[int, None]:
        """Yields so many numbers, then raises."""
        for n in range(number):
            yield n
        raise LookupError("no more cats")

    def breaks_on_turn(self, number: int) -> Generator[int, None, None]:
        """The same in a plain generator."""
        yield from range(number)
        raise LookupError("no more cats")

    async def endless(self, key: str) -> AsyncGenerator[bytes, None]:
        """Yields until nobody reads on; then ``ended`` returns."""
        try:
            while True:
                yield bytes(100_000)
        finally:
            self._ended[key].set()

    async def ended(self, key: str) -> None:
        """Return when the endless stream of ``key`` has ended."""
        await self._ended[key].wait()

    async def waits(self, key: str) -> AsyncGenerator[str, None]:
        """Yields once, and again when the gate of ``key`` is opened."""
        yield "first"
        yield await self._gate.wait(key)


@mesh.deployment(max_ongoing_requests=1, max_queued_requests=1)
class Narrow:
    """One call at a time, and one that waits."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def wait(self, key: str) -> str:
        """Returns when the gate of ``key`` is opened."""
        answer: str = await self._gate.wait(key)
        return answer


@mesh.deployment
def greet(name: str = "stranger") -> str:
    """A function, which has no method of a name."""
    return f"hello {name}"


@mesh.deployment
class Mortal:
    """Ends in the middle of its answer."""

    async def dies(self, number: int) -> AsyncGenerator[int, None]:
        """Yields so many numbers, then takes its process with it."""
        for n in range(number):
            yield n
        await asyncio.sleep(0.1)  # what was yielded is on its way
        os._exit(1)
