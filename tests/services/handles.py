"""Deployments that are called by handle: they say what came to them, wait until they are told, fail and call on."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import mesh


class Refused(Exception):
    """An exception whose constructor takes other arguments than its ``args``."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"{why} ({code})")
        self.code = code
        self.why = why


@mesh.deployment
class Echo:
    """Says what has come."""

    async def echo(self, *args: Any, **kwargs: Any) -> Any:
        """What it was called with, as (args, kwargs)."""
        return args, kwargs

    def echo_on_turn(self, *args: Any, **kwargs: Any) -> Any:
        """The same as a plain method."""
        return args, kwargs

    async def kinds(self, *args: Any) -> list[str]:
        """The types of the arguments; those of a list, of its items."""
        return [type(item).__name__ for arg in args for item in (arg if isinstance(arg, list) else [arg])]

    async def awaited(self, refs: list[Any]) -> list[Any]:
        """The values of refs, awaited."""
        return [await ref for ref in refs]

    def got(self, refs: list[Any]) -> Any:
        """The values of refs, by mesh.get."""
        return mesh.get(refs)

    async def got_on_loop(self, refs: list[Any]) -> Any:
        """The values of refs that have arrived resolved, by mesh.get in an ``async def``."""
        return mesh.get(refs)

    async def use(self, number: int, times: int = 2) -> int:
        """An arithmetic product."""
        return number * times

    async def pid(self) -> int:
        """Which process it is."""
        return os.getpid()

    def where(self) -> tuple[int, str]:
        """Process and thread of plain methods."""
        return os.getpid(), threading.current_thread().name

    async def fail(self, error: BaseException) -> None:
        """Raise what has come."""
        raise error

    def fail_on_turn(self, error: BaseException) -> None:
        """The same as a plain method."""
        raise error

    async def refuse(self, code: int, why: str) -> None:
        """Raise an exception that cannot be made from its ``args``."""
        raise Refused(code, why=why)

    async def lock(self) -> object:
        """A result that does not pickle."""
        return threading.Lock()

    async def __call__(self, name: str = "world") -> str:
        """What is called without a method."""
        return f"hello {name}"


@mesh.deployment(max_ongoing_requests=3, max_queued_requests=100)
class Gate:
    """Holds calls until it is told to let them go."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}
        self._begun: dict[str, asyncio.Event] = {}
        self._cancelled: dict[str, asyncio.Event] = {}
        self._open_on_turn: dict[str, threading.Event] = {}

    async def wait(self, key: str) -> str:
        """Return when the key's gate is opened."""
        _event(self._begun, key).set()
        try:
            await _event(self._open, key).wait()
        except asyncio.CancelledError:
            _event(self._cancelled, key).set()
            raise
        return key

    async def begun(self, key: str) -> None:
        """Return when a call waits at the key's gate."""
        await _event(self._begun, key).wait()

    async def cancelled(self, key: str) -> None:
        """Return when a call that waited at the key's gate was cancelled."""
        await _event(self._cancelled, key).wait()

    async def open(self, key: str) -> None:
        """Let go who waits at the key's gate."""
        _event(self._open, key).set()


def _event(events: dict[str, asyncio.Event], key: str) -> asyncio.Event:
    return events.setdefault(key, asyncio.Event())


@mesh.deployment
class Caller:
    """Calls another deployment in all the ways that there are."""

    def __init__(self, echo: mesh.DeploymentHandle, nested: Any = None) -> None:
        self._echo = echo
        self._nested = nested

    async def call(self, number: int) -> int:
        """Like a method."""
        return await self._echo.use(number)  # type: ignore[no-any-return]

    async def call_in_two_steps(self, number: int) -> int:
        """Routed first, then answered."""
        ref = await self._echo.use.remote(number)
        return await ref  # type: ignore[no-any-return]

    def call_and_get(self, number: int) -> Any:
        """In a plain method."""
        return mesh.get(self._echo.use.remote(number))

    def call_and_result(self, number: int) -> Any:
        """In a plain method, by the response."""
        return self._echo.use.remote(number).result(timeout_s=30)

    async def get_on_loop(self, number: int) -> Any:
        """What must not be done."""
        return mesh.get(self._echo.use.remote(number))

    async def pass_on(self, number: int) -> Any:
        """A response, returned as it is."""
        return self._echo.use.remote(number)

    async def pass_on_ref(self, number: int) -> Any:
        """A ref, returned as it is."""
        return await self._echo.use.remote(number)

    def pass_on_from_turn(self, number: int) -> Any:
        """A response, returned by a plain method."""
        return self._echo.use.remote(number)

    async def pass_on_nested(self, number: int) -> Any:
        """A response inside of what is returned."""
        return {"first": self._echo.use.remote(number), "rest": [self._echo.use.remote(number + 1)]}

    async def chain(self, number: int) -> Any:
        """A response as an argument, at top level, by keyword and nested."""
        two = self._echo.use.remote(number)
        four = self._echo.use.remote(two)
        eight = self._echo.use.remote(four, times=two)
        return await self._echo.awaited([two, await four, eight])

    async def use_as_value(self) -> Any:
        """A mistake that users make."""
        return self._echo.use.remote(1) + 1

    async def fail(self, error: BaseException) -> Any:
        """An exception that comes from below."""
        await self._echo.fail(error)

    def fail_on_turn(self, error: BaseException) -> Any:
        """The same in a plain method."""
        return self._echo.fail_on_turn.remote(error).result()

    async def refuse(self, code: int, why: str) -> Any:
        """An exception of an odd class that comes from below."""
        await self._echo.refuse(code, why)

    async def pids(self) -> tuple[int, list[int]]:
        """Its own process and those of the nested handles."""
        handles = [self._nested["one"], *self._nested["more"]]
        return os.getpid(), [await handle.pid() for handle in handles]

    async def give_handle(self) -> mesh.DeploymentHandle:
        """A handle as a result."""
        return self._echo

    async def use_handle(self, handle: mesh.DeploymentHandle, number: int) -> Any:
        """A handle as an argument."""
        return await handle.use(number)

    async def in_thread(self, number: int) -> Any:
        """A handle in a thread of the user's making."""
        return await asyncio.to_thread(lambda: self._echo.use.remote(number).result(timeout_s=30))

    async def on_other_loop(self, number: int) -> Any:
        """A handle on a loop of the user's making."""

        async def call() -> Any:
            return await self._echo.use(number)

        return await asyncio.to_thread(lambda: asyncio.run(call()))


@mesh.deployment
class Waiter:
    """Waits for a gate in the ways that there are."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def wait(self, key: str) -> Any:
        """On the loop."""
        return await self._gate.wait(key)

    def wait_on_turn(self, key: str) -> Any:
        """On the turn."""
        return mesh.get(self._gate.wait.remote(key))

    async def wait_in_two_steps(self, key: str) -> Any:
        """Routed first."""
        return await (await self._gate.wait.remote(key))

    async def ping(self) -> str:
        """Answers at once, on the loop."""
        return "pong"

    def ping_on_turn(self) -> str:
        """Answers at once, on the turn."""
        return "pong"


@mesh.deployment(max_ongoing_requests=1)
class Recursive:
    """Calls itself by handle while it holds its only slot."""

    def down(self, levels: int) -> int:
        """In plain methods."""
        return 1 + mesh.get(self._own().down.remote(levels - 1)) if levels else 0  # type: ignore[no-any-return]

    async def down_on_loop(self, levels: int) -> int:
        """On the loop."""
        return 1 + await self._own().down_on_loop(levels - 1) if levels else 0

    def _own(self) -> mesh.DeploymentHandle:
        here = mesh.get_replica_context()
        return mesh.DeploymentHandle(here.application, here.deployment)


@mesh.deployment(num_replicas=2)
class Twin:
    """Says which of two it is."""

    async def pid(self) -> int:
        """Which process it is."""
        return os.getpid()
