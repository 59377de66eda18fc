"""How one call ends, for whoever waits: a coroutine on any loop, a thread, another call.

A call ends on the loop that runs gRPC. Values are decoded where they are waited for, because decoding runs the user's
code.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from operator import methodcaller
from typing import Any, NoReturn

from mesh import errors
from mesh.connect import Connection
from mesh.error_detail import decode_error
from mesh.loops import Crossing, crossing_to
from mesh.payload import Payload, decode
from mesh.response_generator import DeploymentResponseGenerator
from mesh.router.call import Call
from mesh.router.item_stream import ItemStream
from mesh.type_variables import R
from mesh.waiting import wait_in_thread

Result = Payload | ItemStream | BaseException


class ResultFuture(asyncio.Future[R]):
    """The result of ``await handle.method(x)``, on the loop of whoever called; cancelling it cancels the call."""

    call: Call
    read_error = staticmethod(decode_error)
    _connection: Connection
    _crossing: Crossing | None

    def bind(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Say whose calls it stands for and on which loop it is waited for."""
        self._connection = connection
        self._crossing = None if loop is connection.loop else crossing_to(loop)

    def cancel(self, msg: object | None = None) -> bool:
        if not super().cancel(msg):
            return False
        self._connection.on_loop(Call.cancel, self.call)
        return True

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "handle.method(x) gives a future, which belongs to its loop: await it, or pass handle.method.remote(x) on, "
            "whose value then travels by itself"
        )

    def routed(self) -> None: ...

    def ended(self, result: Result) -> None:
        if self._crossing is None:
            self._deliver(result)
        else:
            try:
                self._crossing.put(self._deliver, result)
            except RuntimeError:
                self.call.cancel()  # the caller's loop is closed: nobody is left to be told

    def _deliver(self, result: Result) -> None:
        if self.done():
            return
        if isinstance(result, BaseException):
            # Raised here, it would keep the frames of all who had a part in the end of the call, and what they hold.
            self.set_exception(_raisable(result))
            return
        try:
            if isinstance(result, ItemStream):
                value = self._generator(result)
            else:
                value = _value_of(result)
            self.set_result(value)
        except BaseException as error:
            self.set_exception(_raisable(error))

    def _generator(self, stream: ItemStream) -> Any:
        outcome = Outcome(self._connection, self.call.router.name, self.call.method)
        outcome.call = self.call
        outcome.ended(stream)
        return DeploymentResponseGenerator(outcome)

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        """The items of a generator method that was not known to be one when it was called."""
        items = await self
        if not isinstance(items, DeploymentResponseGenerator):
            raise TypeError(f"{self.call.router.name}.{self.call.method} is no generator: await it")
        async for item in items:
            yield item


class Outcome:
    """When a call is routed and how it ends, to be asked from any loop and any thread."""

    __slots__ = ("_is_decoded", "_lock", "_on_ended", "_on_routed", "_result", "_value", "call", "connection",
                 "has_reader", "is_ended", "is_routed", "name")  # fmt: skip

    call: Call
    read_error = staticmethod(decode_error)

    def __init__(self, connection: Connection, deployment: str, method: str) -> None:
        self.connection = connection
        self.name = f"{deployment}.{method}"
        self.is_routed = False
        self.is_ended = False
        self.has_reader = False
        """If it is a stream, somebody holds the generator that reads it, and ends it by dropping that."""
        self._result: Result | None = None
        self._is_decoded = False
        self._value: Any = None
        self._lock = threading.Lock()
        self._on_routed: list[Callable[[], object]] = []
        self._on_ended: list[Callable[[], object]] = []

    def routed(self) -> None:
        with self._lock:
            self.is_routed = True
            callbacks, self._on_routed = self._on_routed, []
        for callback in callbacks:
            callback()

    def ended(self, result: Result) -> None:
        with self._lock:
            if self.is_ended:
                return
            if self.has_reader and isinstance(result, ItemStream):
                ItemStream.unclock(result)
            self._result = result
            self.is_ended = True
            callbacks, self._on_ended = self._on_ended, []
        for callback in callbacks:
            callback()
        self.routed()

    def when_routed(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called when the call is routed or has ended: now, or on the loop that runs gRPC."""
        with self._lock:
            if not self.is_routed:
                self._on_routed.append(callback)
                return
        callback()

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called when the call has ended: now, or on the loop that runs gRPC."""
        with self._lock:
            if not self.is_ended:
                self._on_ended.append(callback)
                return
        callback()

    def result(self) -> Result:
        """How the call ended, undecoded."""
        assert self._result is not None
        return self._result

    @property
    def may_be_stream(self) -> bool:
        """It stands for items and not for a value, as far as anybody knows yet."""
        if self.is_ended:
            return not isinstance(self._result, Payload)
        return self.call.router.yields(self.call.method) is not False

    def value(self) -> Any:
        """The value, decoded once, or what the call raised; of a stream a generator for its items."""
        assert self._result is not None
        if isinstance(self._result, ItemStream):
            return DeploymentResponseGenerator(self)
        with self._lock:
            if not self._is_decoded:
                self._value = _value_of(self._result)
                self._is_decoded = True
            return self._value

    def cancel(self) -> None:
        if not self.is_ended or isinstance(self._result, ItemStream):
            self.connection.on_loop(_cancel, self.call)

    def cancel_soon(self) -> None:
        """Cancel from a finaliser, which may run in the middle of anything."""
        crossing_to(self.connection.loop).put(_cancel, self.call)

    def wait_ended(self, timeout_s: float | None) -> None:
        """Wait for the end in a thread that runs no loop of ours."""
        if not self.is_ended and not wait_in_thread(self.connection, self.when_ended, timeout_s):
            raise errors.DeadlineExceeded(f"{self.name} has not ended after {timeout_s} s; the call goes on")


_cancel = methodcaller("cancel")


def _value_of(result: Payload | BaseException) -> Any:
    """The value behind a result; raises what the call raised."""
    if isinstance(result, Payload):
        return decode(result)
    raise result


def _raisable(error: BaseException) -> BaseException:
    """A future takes no StopIteration: Python itself turns one that leaves a coroutine into a RuntimeError."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the method raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped
