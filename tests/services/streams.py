"""Deployments whose methods yield: plain and asynchronous generators, those that wait, fail, and never end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextvars import ContextVar
from typing import Any

import mesh

_step: ContextVar[int] = ContextVar("step", default=0)


class Unreadable:
    """Pickles, and cannot be rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse_to_rebuild, ()


def _refuse_to_rebuild() -> None:
    raise LookupError("not here")


@mesh.deployment(max_ongoing_requests=100, max_queued_requests=100)
class Streams:
    """Yields in all the ways that there are, and counts what it has yielded and ended, by key."""

    def __init__(self) -> None:
        self._yielded: Counter[str] = Counter()
        self._events: dict[str, threading.Event] = {}

    # --- generators

    async def count(self, number: int) -> AsyncGenerator[int, None]:
        """So many numbers, at once."""
        for value in range(number):
            yield value

    def count_on_turn(self, number: int) -> Generator[int, None, None]:
        """The same as a plain generator."""
        yield from range(number)

    async def large(self, number: int) -> AsyncGenerator[bytes, None]:
        """Items that go through shared memory."""
        for value in range(number):
            yield bytes([value]) * 2_000_000

    def made(self, number: int) -> Any:
        """A generator that a plain method has made."""
        return (value for value in range(number))

    async def made_on_loop(self, number: int) -> Any:
        """A generator that a coroutine has made."""
        return self.count(number)

    async def fail(self, after: int) -> AsyncGenerator[int, None]:
        """So many numbers, then an exception."""
        for value in range(after):
            yield value
        raise LookupError(f"nothing after {after}")

    def fail_on_turn(self, after: int) -> Generator[int, None, None]:
        """The same as a plain generator."""
        yield from range(after)
        raise LookupError(f"nothing after {after}")

    async def endless(self, key: str, size: int = 100) -> AsyncGenerator[str, None]:
        """Never ends by itself."""
        try:
            while True:
                self._yielded[key] += 1
                yield "x" * size
        finally:
            self._event(key).set()

    def endless_on_turn(self, key: str, size: int = 100) -> Generator[str, None, None]:
        """The same as a plain generator."""
        try:
            while True:
                self._yielded[key] += 1
                yield "x" * size
        finally:
            self._event(key).set()

    async def one_then_waits(self, key: str) -> AsyncGenerator[str, None]:
        """One item, then nothing until it is cancelled."""
        try:
            self._event(f"{key} entered").set()
            yield "first"
            await asyncio.get_running_loop().create_future()
        finally:
            self._event(key).set()

    async def waits(self, key: str) -> AsyncGenerator[str, None]:
        """Nothing until it is cancelled."""
        try:
            self._event(f"{key} entered").set()
            await asyncio.get_running_loop().create_future()
            yield "never"
        finally:
            self._event(key).set()

    def one_then_holds(self, key: str) -> Generator[str, None, None]:
        """One item, then it holds the turn until the key is opened."""
        yield "first"
        self._event(key).wait(30)
        yield "second"

    def where(self, number: int) -> Generator[tuple[int, str, int], None, None]:
        """Process, thread, and a context variable that each step counts up."""
        for _ in range(number):
            _step.set(_step.get() + 1)
            yield os.getpid(), threading.current_thread().name, _step.get()

    async def unreadable(self, key: str) -> AsyncGenerator[Any, None]:
        """A good item, and then ones that arrive and cannot be rebuilt."""
        try:
            yield 1
            while True:
                yield Unreadable()
        finally:
            self._event(key).set()

    async def lock(self) -> AsyncGenerator[Any, None]:
        """An item that does not pickle."""
        yield 1
        yield threading.Lock()

    # --- what is asked beside them

    async def open(self, key: str) -> None:
        """Let go who holds the turn."""
        self._event(key).set()

    async def yielded(self, key: str) -> int:
        """How many items were yielded."""
        return self._yielded[key]

    async def entered(self, key: str) -> None:
        """Return when a generator that waits has begun."""
        await self.ended(f"{key} entered")

    async def ended(self, key: str) -> None:
        """Return when the generator has run its ``finally``."""
        assert await asyncio.to_thread(self._event(key).wait, 30)

    def ping(self) -> str:
        """Answers when it has the turn."""
        return "pong"

    async def value(self, value: Any = 1) -> Any:
        """No generator."""
        return value

    async def pid(self) -> int:
        """Which process it is."""
        return os.getpid()

    def _event(self, key: str) -> threading.Event:
        return self._events.setdefault(key, threading.Event())


def _me() -> tuple[str, str]:
    context = mesh.get_replica_context()
    return context.application, context.deployment


@mesh.deployment
class Reader:
    """Reads the streams of another deployment."""

    def __init__(self, streams: mesh.DeploymentHandle) -> None:
        self._streams = streams

    async def first(self, number: int) -> list[int]:
        """On the loop, in the first call of this process."""
        return [item async for item in self._streams.count(number)]

    async def read(self, method: str, number: int) -> list[int]:
        """On the loop."""
        handle = self._streams.options(method_name=method)
        return [item async for item in handle.remote(number)]

    def read_on_turn(self, method: str, number: int) -> list[int]:
        """On the turn, which others have while it waits."""
        return list(self._streams.options(method_name=method).remote(number))

    async def read_plainly(self) -> list[int]:
        """What must not be done."""
        return list(self._streams.options(stream=True).count.remote(3))

    async def until_cancelled(self, key: str) -> None:
        """Reads what does not end."""
        async for _ in self._streams.one_then_waits(key):
            pass

    async def yield_responses(self, number: int) -> AsyncGenerator[Any, None]:
        """Responses as items."""
        for value in range(number):
            yield self._streams.value.remote(value)

    def yield_responses_on_turn(self, number: int) -> Generator[Any, None, None]:
        """The same from a plain generator."""
        for value in range(number):
            yield self._streams.value.remote(value)

    async def pass_on(self, method: str, *args: Any) -> Any:
        """The stream of another deployment as its own."""
        return self._streams.options(method_name=method).remote(*args)

    def pass_on_from_turn(self, method: str, *args: Any) -> Any:
        """The same from a plain method."""
        return self._streams.options(method_name=method).remote(*args)

    async def pass_on_rest(self, method: str, *args: Any) -> Any:
        """What is left of a stream after its first item."""
        items = self._streams.options(method_name=method).remote(*args)
        await anext(items)
        return items

    async def nest(self) -> Any:
        """A stream inside of a value, where it cannot be."""
        return {"items": self._streams.options(stream=True).count.remote(3)}

    async def collect(self, items: Any) -> list[Any]:
        """The items of a stream that came as an argument."""
        return [item async for item in items]

    def collect_on_turn(self, items: Any) -> list[Any]:
        """The same in a plain method."""
        return list(items)

    async def collect_nested(self, place: dict[str, Any]) -> list[Any]:
        """The same of a stream in a container."""
        return [item async for item in place["items"]]

    async def plus(self, items: Any, number: int) -> AsyncGenerator[int, None]:
        """As the items come, each with something added."""
        async for item in items:
            yield item + number

    def plus_on_turn(self, items: Any, number: int) -> Generator[int, None, None]:
        """The same in a plain method."""
        for item in items:
            yield item + number

    async def back(self, items: Any) -> Any:
        """The stream that came, as the result."""
        return items

    async def further(self, items: Any, hops: int) -> Any:
        """The stream that came, as an argument of the next call."""
        me = mesh.DeploymentHandle(*_me())
        return me.further.remote(items, hops - 1) if hops else me.collect.remote(items)

    async def first_of(self, items: Any) -> Any:
        """One item, and then the end of the call."""
        return await anext(items)

    async def leave(self, items: Any, key: str) -> str:
        """Drops the stream and goes on until the key is opened."""
        first = str(await anext(items))
        del items
        await self._streams.ended(key)
        return first

    async def ignore(self, items: Any) -> str:
        """Never reads."""
        return type(items).__name__

    async def hold(self, items: Any, key: str) -> None:
        """Reads one item and waits until the key is opened."""
        await anext(items)
        await self._streams.ended(key)

    def ping(self) -> str:
        """Answers when it has the turn."""
        return "pong"
