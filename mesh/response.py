"""Responses and refs: what stands for a call that was started, in the code that started it and on its way to others."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, NoReturn

from starlette.requests import HTTPConnection, Request

from mesh import connect, errors
from mesh.http import request_payload
from mesh.outcome import Outcome, ResultFuture
from mesh.payload import HTTP_REQUEST, Attachable, Encoded, Payload, attach, attached, misplaced_stream
from mesh.response_generator import DeploymentResponseGenerator
from mesh.segments.copying import keep_aside
from mesh.type_variables import R_co
from mesh.waiting import wait_on_loop

ATTACHABLES: tuple[type, ...] = (Attachable, HTTPConnection)
"""What travels beside the pickle of arguments and results."""


class _OfCall(Attachable, Generic[R_co]):
    """What a response and a ref have in common: they stand for one call, and are no value themselves."""

    __slots__ = ("_items", "outcome")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._items: DeploymentResponseGenerator[Any] | None = None

    def result(self, timeout_s: float | None = None) -> R_co:
        """Wait for the value in a thread without a loop, or in a notebook cell.

        Raises what the method raised, and :class:`mesh.errors.DeadlineExceeded` after ``timeout_s`` seconds, which
        leaves the call alone. In an ``async def`` of a replica it raises RuntimeError: await there.
        """
        self.outcome.wait_ended(timeout_s)
        value: R_co = self.outcome.value()
        return value

    def cancel(self) -> None:
        """Cancel the call wherever it is; a call that has ended stays as it is."""
        self.outcome.cancel()

    def cancelled(self) -> bool:
        """Whether the call ended by being cancelled."""
        outcome = self.outcome
        return outcome.is_ended and isinstance(outcome.result(), errors.RequestCancelled)

    def done(self) -> bool:
        """Whether the call has ended."""
        return self.outcome.is_ended

    async def value(self) -> R_co:
        """The value, in one step."""
        outcome = self.outcome
        if not outcome.is_ended:
            try:
                await wait_on_loop(outcome.connection, outcome.when_ended)
            except asyncio.CancelledError:
                outcome.cancel()
                raise
        value: R_co = outcome.value()
        return value

    def generator(self) -> DeploymentResponseGenerator[Any]:
        """The items of a generator method that was not known to be one when it was called."""
        if self._items is None:
            if not self.outcome.may_be_stream:
                raise TypeError(self._hint())
            self._items = DeploymentResponseGenerator(self.outcome)
        return self._items

    def __reduce__(self) -> tuple[Any, ...]:
        return resolved_ref, (attach(self),)

    def __str__(self) -> str:
        return f"<{type(self).__name__} of {self.outcome.name}: {self._way_to_the_value()}>"

    __repr__ = __str__

    def __format__(self, specification: str) -> str:
        return self._no_value() if specification else str(self)

    def _no_value(self, *_: object) -> NoReturn:
        raise TypeError(self._hint())

    def _hint(self) -> str:
        return f"{self} is not the value itself"

    def _way_to_the_value(self) -> str:
        return "await it to get the value, or call .result() outside of coroutines"

    if not TYPE_CHECKING:  # what type checkers don't see, they report

        def __aiter__(self) -> DeploymentResponseGenerator[Any]:
            return self.generator().__aiter__()

        def __iter__(self) -> DeploymentResponseGenerator[Any]:
            return self.generator().__iter__()

        def __getattr__(self, name: str) -> NoReturn:
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(f"{self._hint()}, then ask for {name!r}", name=name, obj=self)

        __bool__ = __len__ = __getitem__ = __contains__ = __call__ = __int__ = __float__ = __index__ = _no_value
        __setitem__ = __delitem__ = __reversed__ = __complex__ = __round__ = __divmod__ = __rdivmod__ = _no_value
        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _no_value
        __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _no_value
        __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _no_value
        __neg__ = __pos__ = __abs__ = __invert__ = __lt__ = __le__ = __gt__ = __ge__ = _no_value


class Ref(_OfCall[R_co]):
    """A call that was routed; awaiting it gives the result."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, R_co]:
        return self.value().__await__()


class DeploymentResponse(_OfCall[R_co]):
    """What ``.remote()`` gives: a call that is on its way; awaiting it gives a :class:`Ref` when it is routed."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Ref[R_co]]:
        return self._ref().__await__()

    def _way_to_the_value(self) -> str:
        return "await it twice to get the value, or call .result() outside of coroutines"

    async def _ref(self) -> Ref[R_co]:
        outcome = self.outcome
        if not outcome.is_routed:
            try:
                await wait_on_loop(outcome.connection, outcome.when_routed)
            except asyncio.CancelledError:
                outcome.cancel()
                raise
        return Ref(outcome)


if TYPE_CHECKING:

    class UnknownRef(Ref[Any]):
        """To type checkers, what awaiting the response below gives."""

        def __aiter__(self) -> DeploymentResponseGenerator[Any]: ...
        def __iter__(self) -> DeploymentResponseGenerator[Any]: ...

    class UnknownResponse(DeploymentResponse[Any]):
        """To type checkers, what a method gives that nobody knows: a response, or a response generator."""

        def __await__(self) -> Generator[Any, None, UnknownRef]: ...
        def __aiter__(self) -> DeploymentResponseGenerator[Any]: ...
        async def __anext__(self) -> Any: ...
        async def aclose(self) -> None: ...
        def __iter__(self) -> DeploymentResponseGenerator[Any]: ...
        def __next__(self) -> Any: ...
        def close(self) -> None: ...

    class UnknownResult(ResultFuture[Any]):
        """To type checkers, what calling such a method gives: a future, or a response generator."""

        async def __anext__(self) -> Any: ...
        async def aclose(self) -> None: ...


def resolved_ref(number: int) -> Ref[Any]:
    """The ref that a response or a ref inside a container becomes where the container arrives."""
    outcome = Outcome.__new__(Outcome)
    outcome.__init__(connect.default(), "a ref", "that came with a call")  # type: ignore[misc]
    outcome.ended(attached(number))
    return Ref(outcome)


async def payload_of(value: Any) -> Payload:
    """The payload of something that travels beside a pickle; on the loop that runs gRPC."""
    passed_on = await passed_on_as(value)
    if isinstance(passed_on, Payload):
        return passed_on
    passed_on.cancel()
    raise misplaced_stream()


async def passed_on_as(value: Any) -> Payload | DeploymentResponseGenerator[Any]:
    """What goes to the next process for something that has a payload of its own; on the loop that runs gRPC."""
    if isinstance(value, Request):
        return Payload(HTTP_REQUEST, await request_payload(value))
    if isinstance(value, DeploymentResponseGenerator):
        return value
    outcome: Outcome = value.outcome
    if not outcome.is_ended:
        await wait_on_loop(outcome.connection, outcome.when_ended)
    result = outcome.result()
    if isinstance(result, BaseException):
        raise result
    return result if isinstance(result, Payload) else value.generator()


async def complete(encoded: Encoded) -> Payload:
    """The payload of a value with all that stands beside its pickle; on the loop that runs gRPC."""
    if encoded.loose:
        encoded = encoded.kept(await keep_aside(encoded.loose))
    return encoded.with_payloads([await payload_of(value) for value in encoded.attached])


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
