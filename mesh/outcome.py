"""How one call ends, for whoever waits: a coroutine on any loop, a thread, another call.

A call ends on the loop that runs gRPC. Values are decoded where they are waited for, because decoding runs the user's
code.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mesh import errors
from mesh.connect import Connection
from mesh.context import turn
from mesh.loops import Crossing, crossing_to
from mesh.payload import Payload, decode, decode_error
from mesh.router.call import Call, ItemStream

Result = Payload | ItemStream | BaseException


class ResultFuture(asyncio.Future[Any]):
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
        try:
            self.set_result(_value_of(result))
        except BaseException as error:
            self.set_exception(_raisable(error))


class Outcome:
    """When a call is routed and how it ends, to be asked from any loop and any thread."""

    __slots__ = ("_is_decoded", "_lock", "_on_ended", "_on_routed", "_result", "_value", "call", "connection",
                 "is_ended", "is_routed", "name")  # fmt: skip

    call: Call
    read_error = staticmethod(decode_error)

    def __init__(self, connection: Connection, deployment: str, method: str) -> None:
        self.connection = connection
        self.name = f"{deployment}.{method}"
        self.is_routed = False
        self.is_ended = False
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

    def value(self) -> Any:
        """The value, decoded once, or what the call raised."""
        with self._lock:
            if not self._is_decoded:
                assert self._result is not None
                self._value = _value_of(self._result)
                self._is_decoded = True
            return self._value

    def cancel(self) -> None:
        if not self.is_ended:
            self.connection.on_loop(Call.cancel, self.call)

    def wait_on_loop(self, when: Callable[[Callable[[], object]], None]) -> asyncio.Future[None]:
        """A future of the running loop that is done when ``when`` says so."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if loop is self.connection.loop:
            when(lambda: _set_done(future))
        else:
            crossing = crossing_to(loop)
            when(lambda: _put(crossing, future))
        return future

    def wait_in_thread(self, timeout_s: float | None) -> Any:
        """The value, waited for in a thread that runs no loop of ours."""
        if not self.is_ended:
            _refuse_to_block(self.connection)
            ended = threading.Event()
            self.when_ended(ended.set)
            on_turn = turn.get()
            if on_turn is None:
                in_time = ended.wait(timeout_s)
            else:
                with on_turn.given_away():
                    in_time = ended.wait(timeout_s)
            if not in_time:
                raise errors.DeadlineExceeded(f"{self.name} has not ended after {timeout_s} s; the call goes on")
        return self.value()


def _put(crossing: Crossing, future: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the waiter's loop is closed: nobody is left to be told
        crossing.put(_set_done, future)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _refuse_to_block(connection: Connection) -> None:
    if asyncio._get_running_loop() is connection.loop:
        raise RuntimeError(
            "this would block the replica's event loop, and with it the call that is waited for: write `await ref`"
        )


def _value_of(result: Result) -> Any:
    """The value behind a result; raises what the call raised."""
    if isinstance(result, Payload):
        return decode(result)
    if isinstance(result, ItemStream):
        result.cancel()
        raise errors.NotSupportedYet("the method yields; streams by handle are not supported yet")
    raise result


def _raisable(error: BaseException) -> BaseException:
    """A future takes no StopIteration: Python itself turns one that leaves a coroutine into a RuntimeError."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the method raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def no_stream(stream: ItemStream) -> errors.MeshError:
    """A stream where a value has to be."""
    stream.cancel()
    return errors.NotSupportedYet("a stream cannot be an argument yet")
