"""Handles: how Python code calls a deployment, from a script, a thread, a notebook or another deployment.

``await handle.method(x)`` calls like a method. ``handle.method.remote(x)`` starts the call at once and gives a
:class:`DeploymentResponse`; awaiting that gives a :class:`Ref` as soon as the call is routed, awaiting the ref gives the
result. Outside of coroutines both have ``result()``.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, NoReturn

from starlette.requests import HTTPConnection, Request

from mesh import connect, errors
from mesh.connect import Connection
from mesh.context import current, turn
from mesh.deadline import NEVER
from mesh.http import check_request, request_payload
from mesh.loops import Crossing, crossing_to
from mesh.payload import (
    HTTP_REQUEST,
    PICKLE,
    Attachable,
    Encoded,
    Payload,
    attach,
    attached,
    decode,
    encode_call,
)
from mesh.router.call import Call, Ending, ItemStream
from mesh.router.router import Router

ATTACHABLES = (Attachable, HTTPConnection)
"""What travels beside the pickle of arguments and results."""

Result = Payload | ItemStream | BaseException


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a handle asks of its calls beside the method."""

    method_name: str = "__call__"
    timeout_s: float | None = None
    retry_on_death: bool | None = None


class DeploymentHandle:
    """Calls one deployment. Cheap to make, safe in any thread and on any loop, and picklable.

    ``handle.method`` is a handle that calls that method; the handle itself calls ``__call__``. ``run_directory`` says
    which mesh is meant: by default that of the process which pickles it, "" always that of the process which calls.
    """

    def __init__(
        self,
        application: str,
        deployment: str,
        options: CallOptions | None = None,
        run_directory: str | None = None,
    ) -> None:
        self._application = application
        self._deployment = deployment
        self._options = options or CallOptions()
        self._run_directory = run_directory
        self._connection: Connection | None = None
        self._router: Router | None = None

    @property
    def deployment_name(self) -> str:
        """The name of the deployment that is called."""
        return self._deployment

    @property
    def application_name(self) -> str:
        """The application that the deployment belongs to."""
        return self._application

    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool = False,
        multiplexed_model_id: str = "",
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
    ) -> DeploymentHandle:
        """A handle with other options; None keeps the present one.

        ``timeout_s`` bounds each call, in seconds; ``retry_on_death`` has calls that a replica held when it died sent
        again to another one.
        """
        if stream:
            raise errors.NotSupportedYet("streams by handle (stream=True) are not supported yet")
        if multiplexed_model_id:
            raise errors.NotSupportedYet("multiplexed models (multiplexed_model_id) are not supported yet")
        if timeout_s is not None and not timeout_s > 0:
            raise errors.ConfigError(f"timeout_s={timeout_s!r} must be a number of seconds above 0")
        options = self._options
        return self._with(
            CallOptions(
                method_name=options.method_name if method_name is None else method_name,
                timeout_s=options.timeout_s if timeout_s is None else timeout_s,
                retry_on_death=options.retry_on_death if retry_on_death is None else retry_on_death,
            )
        )

    def __getattr__(self, name: str) -> DeploymentHandle:
        if name.startswith("_"):
            raise AttributeError(f"a handle has no attribute {name!r}")
        bound = self._with(replace(self._options, method_name=name))
        self.__dict__[name] = bound
        return bound

    def _with(self, options: CallOptions) -> DeploymentHandle:
        handle = DeploymentHandle(self._application, self._deployment, options, self._run_directory)
        handle._connection, handle._router = self._connection, self._router
        return handle

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Call the method from a coroutine; the awaitable gives its result."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                f"{self!r} was called outside of a coroutine: use .remote(...).result(), or await it in one"
            ) from None
        connection = self._connected()
        future = ResultFuture(loop=loop)
        future.bind(self, connection, loop)
        self._start(connection, future.call, args, kwargs)
        return future

    def remote(self, *args: Any, **kwargs: Any) -> DeploymentResponse:
        """Start a call, awaited or not. Arguments are pickled now; later changes of them are not seen.

        Outside of a coroutine it waits, within the call's deadline, while the router's queue is full. Raises
        :class:`mesh.errors.PayloadError` for what cannot be pickled, :class:`mesh.errors.MethodNotFound` for a method
        that the deployment does not have.
        """
        connection = self._connected()
        outcome = Outcome(connection, self._deployment, self._options.method_name)
        call = outcome.call = self._call(outcome)
        self._check_method()
        if _may_wait(connection):
            self._wait_for_room(call)
        self._start(connection, call, args, kwargs)
        return DeploymentResponse(outcome)

    def _call(self, ending: Ending) -> Call:
        assert self._router is not None
        options = self._options
        return Call(
            self._router,
            options.method_name,
            ending,
            current.get(),
            timeout_s=options.timeout_s,
            retry_on_death=options.retry_on_death,
        )

    def _start(self, connection: Connection, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            encoded = encode_call(args, kwargs, ATTACHABLES)
            if encoded.attached:
                for value in encoded.attached:
                    if isinstance(value, HTTPConnection):
                        check_request(value)
                connection.on_loop(_Gathering(connection, call, encoded).start, None)
                return
        except BaseException as error:
            call.end(error)
            raise
        call.payload = Payload(PICKLE, encoded.body)
        connection.submit(call)

    def _check_method(self) -> None:
        assert self._router is not None
        methods = self._router.methods
        if methods and self._options.method_name not in methods:
            raise self._router.unknown_method(self._options.method_name)

    def _wait_for_room(self, call: Call) -> None:
        router = call.router
        limit = max(1, router.config.max_queued_requests if router.config else 1000)
        if not router.thread_room.try_enter(limit):
            timeout_s = call.timeout_s or (router.config.request_timeout_s if router.config else None)
            deadline = min(call.deadline, NEVER if timeout_s is None else call.created_s + timeout_s)
            on_turn = turn.get()
            if on_turn is None:
                entered = router.thread_room.enter(limit, deadline)
            else:
                with on_turn.given_away():
                    entered = router.thread_room.enter(limit, deadline)
            if not entered:
                error = errors.DeadlineExceeded(f"{self._deployment} had no room before the deadline of the call")
                call.end(error)
                raise error
        call.waits = True

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and not connection.is_closed:
            return connection
        if connect.was_forked():
            raise errors.MeshUnavailable(
                "a process forked from a replica or a script that uses the mesh cannot call it: "
                "start it with the 'spawn' method (multiprocessing.get_context('spawn'))"
            )
        connection = connect.connection_to(self._run_directory) if self._run_directory else connect.default()
        if connection is None:
            raise errors.MeshUnavailable("no mesh runs in this process: call mesh.run or mesh.start first")
        self._connection = connection
        self._router = connection.router(self._application, self._deployment)
        return connection

    def __reduce__(self) -> tuple[Any, ...]:
        run_directory = self._run_directory
        if run_directory is None and (connection := connect.default()) is not None:
            run_directory = connection.run_directory
        return DeploymentHandle, (self._application, self._deployment, self._options, run_directory)

    def __repr__(self) -> str:
        method = self._options.method_name
        of_method = "" if method == "__call__" else f", method={method!r}"
        return f"DeploymentHandle({self._application!r}, {self._deployment!r}{of_method})"


class ResultFuture(asyncio.Future[Any]):
    """The result of ``await handle.method(x)``, on the loop of whoever called; cancelling it cancels the call."""

    call: Call
    _connection: Connection
    _crossing: Crossing | None

    def bind(self, handle: DeploymentHandle, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._crossing = None if loop is connection.loop else crossing_to(loop)
        self.call = handle._call(self)

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


class Outcome:
    """When a call is routed and how it ends, to be asked from any loop and any thread."""

    __slots__ = ("_is_decoded", "_lock", "_on_ended", "_on_routed", "_result", "_value", "call", "connection", "is_ended",
                 "is_routed", "name")  # fmt: skip

    call: Call

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
            when(lambda: crossing.put(_set_done, future))
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


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _refuse_to_block(connection: Connection) -> None:
    if asyncio._get_running_loop() is connection.loop:
        raise RuntimeError(
            "this would block the replica's event loop, and with it the call that is waited for: write `await ref`"
        )


def _may_wait(connection: Connection) -> bool:
    """The caller holds no loop that others need: it has none, or it is a notebook cell."""
    loop = asyncio._get_running_loop()
    return loop is None or (loop is not connection.loop and "ipykernel" in sys.modules)


class _OfCall(Attachable):
    """What a response and a ref have in common: they stand for one call, and are no value themselves."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def result(self, timeout_s: float | None = None) -> Any:
        """Wait for the value in a thread without a loop, or in a notebook cell.

        Raises what the method raised, and :class:`mesh.errors.DeadlineExceeded` after ``timeout_s`` seconds, which
        leaves the call alone. In an ``async def`` of a replica it raises RuntimeError: await there.
        """
        return self._outcome.wait_in_thread(timeout_s)

    def cancel(self) -> None:
        """Cancel the call wherever it is; a call that has ended stays as it is."""
        self._outcome.cancel()

    def cancelled(self) -> bool:
        """Whether the call ended by being cancelled."""
        outcome = self._outcome
        return outcome.is_ended and isinstance(outcome.result(), errors.RequestCancelled)

    def done(self) -> bool:
        """Whether the call has ended."""
        return self._outcome.is_ended

    async def value(self) -> Any:
        """The value, in one step."""
        outcome = self._outcome
        if not outcome.is_ended:
            try:
                await outcome.wait_on_loop(outcome.when_ended)
            except asyncio.CancelledError:
                outcome.cancel()
                raise
        return outcome.value()

    def __reduce__(self) -> tuple[Any, ...]:
        return resolved_ref, (attach(self),)

    def __str__(self) -> str:
        return f"<{type(self).__name__} of {self._outcome.name}: await it to get the value>"

    __repr__ = __str__

    def _no_value(self, *_: object) -> NoReturn:
        raise TypeError(
            f"{self} is not the value itself: await it" + (" twice" if isinstance(self, DeploymentResponse) else "")
        )

    __bool__ = __len__ = __iter__ = __getitem__ = __contains__ = __call__ = __int__ = __float__ = __index__ = _no_value
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _no_value
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _no_value
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _no_value
    __neg__ = __pos__ = __abs__ = __invert__ = __lt__ = __le__ = __gt__ = __ge__ = _no_value


class Ref(_OfCall):
    """A call that was routed; awaiting it gives the result."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.value().__await__()


class DeploymentResponse(_OfCall):
    """What ``.remote()`` gives: a call that is on its way; awaiting it gives a :class:`Ref` when it is routed."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Ref]:
        return self._ref().__await__()

    async def _ref(self) -> Ref:
        outcome = self._outcome
        if not outcome.is_routed:
            try:
                await outcome.wait_on_loop(outcome.when_routed)
            except asyncio.CancelledError:
                outcome.cancel()
                raise
        return Ref(outcome)


def resolved_ref(number: int) -> Ref:
    """The ref that a response or a ref inside a container becomes where the container arrives."""
    outcome = Outcome.__new__(Outcome)
    outcome.__init__(connect.default(), "a ref", "that came with a call")  # type: ignore[misc]
    outcome.ended(attached(number))
    return Ref(outcome)


class _Gathering:
    """Waits for the payloads of what a call's arguments mention, on the loop that runs gRPC, then sends the call."""

    __slots__ = ("_call", "_connection", "_encoded", "_left", "_payloads")

    def __init__(self, connection: Connection, call: Call, encoded: Encoded) -> None:
        self._connection = connection
        self._call = call
        self._encoded = encoded
        self._payloads: list[Payload] = [Payload(0, b"")] * len(encoded.attached)
        self._left = len(encoded.attached)

    def start(self, _: None) -> None:
        for number, value in enumerate(self._encoded.attached):
            if isinstance(value, _OfCall):
                outcome = value._outcome
                outcome.when_ended(lambda n=number, o=outcome: self._on_loop(n, o.result()))  # type: ignore[misc]
            else:
                reading = self._connection.loop.create_task(payload_of(value))
                reading.add_done_callback(lambda task, n=number: self._read(n, task))  # type: ignore[misc]

    def _on_loop(self, number: int, result: Result) -> None:
        self._connection.on_loop(self._arrived, (number, result))

    def _read(self, number: int, task: asyncio.Task[Payload]) -> None:
        if task.cancelled():
            self._arrived((number, errors.RequestCancelled("reading the request was cancelled")))
        else:
            self._arrived((number, task.exception() or task.result()))

    def _arrived(self, arrival: tuple[int, Result]) -> None:
        number, result = arrival
        if not isinstance(result, Payload):
            self._call.end(result if isinstance(result, BaseException) else _no_stream(result))
            return
        self._payloads[number] = result
        self._left -= 1
        if self._left == 0:
            self._call.payload = self._encoded.with_payloads(self._payloads)
            self._connection.submit(self._call)


def _no_stream(stream: ItemStream) -> errors.MeshError:
    stream.cancel()
    return errors.NotSupportedYet("a stream cannot be an argument yet")


async def payload_of(value: Any) -> Payload:
    """The payload of something that travels beside a pickle; on the loop that runs gRPC."""
    if isinstance(value, Request):
        return Payload(HTTP_REQUEST, await request_payload(value))
    outcome: Outcome = value._outcome
    if not outcome.is_ended:
        await outcome.wait_on_loop(outcome.when_ended)
    result = outcome.result()
    if isinstance(result, Payload):
        return result
    raise result if isinstance(result, BaseException) else _no_stream(result)


def value_of(value: Any, timeout_s: float | None = None) -> Any:
    """What a ref, a response, or a list of them (nested too) stands for; anything else is its own value."""
    deadline = None if timeout_s is None else monotonic() + timeout_s
    return _resolved(value, deadline)


def _resolved(value: Any, deadline: float | None) -> Any:
    if isinstance(value, _OfCall):
        return value.result(None if deadline is None else max(0.0, deadline - monotonic()))
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_resolved(item, deadline) for item in value)
    return value
