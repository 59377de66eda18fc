"""Handles: how Python code calls a deployment, from a script, a thread, a notebook or another deployment.

``await handle.method(x)`` calls like a method. ``handle.method.remote(x)`` starts the call at once and gives a
:class:`DeploymentResponse`; awaiting that gives a :class:`Ref` as soon as the call is routed, awaiting the ref gives
the result. Outside of coroutines both have ``result()``. A generator method gives a
:class:`DeploymentResponseGenerator`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, TypeAlias, final, overload

from starlette.requests import HTTPConnection

from mesh import connect, errors
from mesh.connect import Connection
from mesh.context import LONGEST_MODEL_ID, current, turn
from mesh.deadline import NEVER
from mesh.gathering import Gathering
from mesh.http import claim_request
from mesh.outcome import Outcome, ResultFuture
from mesh.payload import PICKLE, Payload, encode_call
from mesh.response import ATTACHABLES, DeploymentResponse, Ref
from mesh.response_generator import DeploymentResponseGenerator
from mesh.router.call import Call, Ending
from mesh.router.router import Router
from mesh.segments.copying import keep
from mesh.type_variables import P, R, T_co

if TYPE_CHECKING:
    from mesh.response import UnknownResponse, UnknownResult

    @final
    class _Anything:
        """No type but Any goes for this one: so it tells methods of which nobody knows what they return."""

    _Unknown: TypeAlias = _Anything | Coroutine[Any, Any, _Anything]
    _Items: TypeAlias = AsyncIterator[R] | Iterator[R] | Coroutine[Any, Any, DeploymentResponseGenerator[R]]
    _PassedOn: TypeAlias = DeploymentResponse[R] | Ref[R] | Coroutine[Any, Any, DeploymentResponse[R] | Ref[R]]

__all__ = ["CallOptions", "DeploymentHandle", "DeploymentResponse", "DeploymentResponseGenerator", "Ref"]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a handle asks of its calls beside the method."""

    method_name: str = "__call__"
    timeout_s: float | None = None
    retry_on_death: bool | None = None
    stream: bool = False
    multiplexed_model_id: str = ""


class DeploymentHandle(Generic[T_co]):
    """Calls one deployment. Cheap to make, safe in any thread and on any loop, and picklable.

    ``handle.method`` is a handle that calls that method; the handle itself calls ``__call__``. ``run_directory`` says
    which mesh is meant: by default that of the process which pickles it, "" always that of the process which calls.

    ``DeploymentHandle[Model]`` tells type checkers what is called: see docs/decisions/013-types.md for what they make
    of it. A handle of one method is a ``DeploymentHandle[Callable[[int], float]]``.
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

    @overload
    def options(
        self,
        *,
        method_name: None = None,
        stream: Literal[False] | None = None,
        multiplexed_model_id: str = "",
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
    ) -> DeploymentHandle[T_co]: ...
    @overload
    def options(
        self,
        *,
        method_name: str | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str = "",
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
    ) -> DeploymentHandle[Any]: ...
    @overload
    def options(
        self,
        *,
        method_name: Callable[Concatenate[Any, P], R],
        stream: None = None,
        multiplexed_model_id: str = "",
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
    ) -> DeploymentHandle[Callable[P, R]]: ...
    def options(
        self,
        *,
        method_name: str | Callable[..., Any] | None = None,
        stream: bool | None = None,
        multiplexed_model_id: str = "",
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
    ) -> DeploymentHandle[Any]:
        """A handle with other options; None, and "" for a model, keep the present one.

        ``method_name`` is the name of a method or the method of the class itself, ``Model.predict``, from which type
        checkers learn its parameters and its result.

        ``timeout_s`` bounds each call, in seconds; ``retry_on_death`` has calls that a replica held when it died sent
        again to another one. ``stream=True`` says that the method answers with items; for a generator method this is
        found out, but not for a method that returns a generator which it has made. ``multiplexed_model_id`` is the
        model that its calls want, see :func:`mesh.multiplexing.multiplexed`.
        """
        if not isinstance(multiplexed_model_id, str) or len(multiplexed_model_id) > LONGEST_MODEL_ID:
            raise errors.ConfigError(
                f"multiplexed_model_id must be a string of at most {LONGEST_MODEL_ID} characters, "
                f"not {multiplexed_model_id!r:.100}"
            )
        if timeout_s is not None and not timeout_s > 0:
            raise errors.ConfigError(f"timeout_s={timeout_s!r} must be a number of seconds above 0")
        options = self._options
        return self._with(
            CallOptions(
                method_name=options.method_name if method_name is None else _name_of(method_name),
                timeout_s=options.timeout_s if timeout_s is None else timeout_s,
                retry_on_death=options.retry_on_death if retry_on_death is None else retry_on_death,
                stream=options.stream if stream is None else stream,
                multiplexed_model_id=multiplexed_model_id or options.multiplexed_model_id,
            )
        )

    def __getattr__(self, name: str) -> DeploymentHandle[Any]:
        if name.startswith("_"):
            raise AttributeError(f"a handle has no attribute {name!r}")
        bound = self._with(replace(self._options, method_name=name))
        self.__dict__[name] = bound
        return bound

    def _with(self, options: CallOptions) -> DeploymentHandle[Any]:
        handle: DeploymentHandle[Any] = DeploymentHandle(
            self._application, self._deployment, options, self._run_directory
        )
        handle._connection, handle._router = self._connection, self._router
        return handle

    @overload
    def __call__(self: DeploymentHandle[Callable[P, _Unknown]], *args: P.args, **kwargs: P.kwargs) -> UnknownResult: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # of what yields, the items are asked for
        self: DeploymentHandle[Callable[P, _Items[R]]], *args: P.args, **kwargs: P.kwargs
    ) -> DeploymentResponseGenerator[R]: ...
    @overload
    def __call__(
        self: DeploymentHandle[Callable[P, _PassedOn[R]]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]: ...
    @overload
    def __call__(
        self: DeploymentHandle[Callable[P, Coroutine[Any, Any, R]]], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[R]: ...
    @overload
    def __call__(self: DeploymentHandle[Callable[P, R]], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method from a coroutine: await its result, or read the items of a generator with ``async for``."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                f"{self!r} was called outside of a coroutine: use .remote(...).result(), or await it in one"
            ) from None
        connection = self._connected()
        if self._yields():
            return self._start_stream(connection, args, kwargs)
        future: ResultFuture[Any] = ResultFuture(loop=loop)
        future.bind(connection, loop)
        future.call = self._call(future)
        try:
            self._start(connection, future.call, args, kwargs)
        except BaseException:
            future.add_done_callback(ResultFuture.exception)  # it is raised here: asyncio need not tell of it later
            raise
        return future

    @overload
    def remote(self: DeploymentHandle[Callable[P, _Unknown]], *args: P.args, **kwargs: P.kwargs) -> UnknownResponse: ...
    @overload
    def remote(  # type: ignore[overload-overlap] # of what yields, the items are asked for
        self: DeploymentHandle[Callable[P, _Items[R]]], *args: P.args, **kwargs: P.kwargs
    ) -> DeploymentResponseGenerator[R]: ...
    @overload
    def remote(
        self: DeploymentHandle[Callable[P, _PassedOn[R]]], *args: P.args, **kwargs: P.kwargs
    ) -> DeploymentResponse[R]: ...
    @overload
    def remote(
        self: DeploymentHandle[Callable[P, Coroutine[Any, Any, R]]], *args: P.args, **kwargs: P.kwargs
    ) -> DeploymentResponse[R]: ...
    @overload
    def remote(self: DeploymentHandle[Callable[P, R]], *args: P.args, **kwargs: P.kwargs) -> DeploymentResponse[R]: ...
    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Start a call, awaited or not. Arguments are pickled now; later changes of them are not seen.

        A generator method gives a :class:`DeploymentResponseGenerator`. Where it is not known yet what the method is,
        as in the first call of a process, the response can be read like one.

        Outside of a coroutine it waits, within the call's deadline, while the router's queue is full. Raises
        :class:`mesh.errors.PayloadError` for what cannot be pickled, :class:`mesh.errors.MethodNotFound` for a method
        that the deployment does not have.
        """
        connection = self._connected()
        self._check_method()
        outcome = self._outcome(connection)
        if _may_wait(connection):
            self._wait_for_room(outcome.call)
        self._start(connection, outcome.call, args, kwargs)
        return DeploymentResponseGenerator(outcome) if self._yields() else DeploymentResponse(outcome)

    def _start_stream(
        self, connection: Connection, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> DeploymentResponseGenerator[Any]:
        outcome = self._outcome(connection)
        self._start(connection, outcome.call, args, kwargs)
        return DeploymentResponseGenerator(outcome)

    def _yields(self) -> bool:
        """Whether the method is known to answer with items."""
        assert self._router is not None
        return self._options.stream or self._router.yields(self._options.method_name) is True

    def _outcome(self, connection: Connection) -> Outcome:
        outcome = Outcome(connection, self._deployment, self._options.method_name)
        outcome.call = self._call(outcome)
        return outcome

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
            model_id=options.multiplexed_model_id,
        )

    def _start(self, connection: Connection, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            encoded = encode_call(args, kwargs, ATTACHABLES)
            if encoded.loose and asyncio._get_running_loop() is None:
                encoded = encoded.kept(keep(encoded.loose))  # the caller may change them when this returns
            if encoded.attached or encoded.loose:
                for value in encoded.attached:
                    if isinstance(value, HTTPConnection):
                        claim_request(value)
                connection.on_loop(Gathering(connection, call, encoded).start, None)
                return
        except BaseException as error:
            call.end(error)
            raise
        call.payload = Payload(PICKLE, encoded.body, encoded.buffers)
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


def _name_of(method: object) -> str:
    name = method if isinstance(method, str) else getattr(method, "__name__", None)
    if not isinstance(name, str):
        raise TypeError(
            f"method_name is the name of a method, or the method itself as in Model.predict, not {method!r}"
        )
    return name


def _may_wait(connection: Connection) -> bool:
    """The caller holds no loop that others need: it has none, or it is a notebook cell."""
    loop = asyncio._get_running_loop()
    return loop is None or (loop is not connection.loop and "ipykernel" in sys.modules)
