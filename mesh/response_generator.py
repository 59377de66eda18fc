"""The result of a generator method: its items, read on any loop or in any thread as the replica yields them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic

from mesh import errors
from mesh.frames import WINDOW, item_cost
from mesh.payload import AttachableItems, Payload, attach, attached_value, decode
from mesh.router.item_stream import ItemStream
from mesh.type_variables import R_co
from mesh.waiting import refuse_to_block, wait_in_thread, wait_on_loop

if TYPE_CHECKING:
    from mesh.outcome import Outcome

_TOLD_AT_ONCE = WINDOW // 8
"""Credit for what was read is given back in lots of this size, and when nothing is left to read."""


class DeploymentResponseGenerator(AttachableItems, Generic[R_co]):
    """The items that a generator method yields: ``async for`` in a coroutine, ``for`` everywhere else.

    Items are decoded where they are read. What the method raises half way comes behind the items that it had yielded.
    The method runs ahead of a slow reader by a bounded amount. It is cancelled by :meth:`cancel`, by cancelling the
    task that waits for an item, and when the generator is dropped before its end, as after ``break``.
    """

    __slots__ = ("_is_cancelled", "_is_given", "_is_over", "_stream", "_unpaid_bytes", "_unpaid_items", "outcome")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._stream: ItemStream | None = None
        self._is_over = False  # the end was told: StopIteration from now on
        self._is_cancelled = False
        self._is_given = False  # somebody else reads it on
        self._unpaid_items = 0  # read, and not yet told to the stream
        self._unpaid_bytes = 0
        outcome.has_reader = True
        if outcome.is_ended and isinstance(stream := outcome.result(), ItemStream):
            outcome.connection.on_loop(ItemStream.unclock, stream)

    # --- in coroutines

    def __aiter__(self) -> DeploymentResponseGenerator[R_co]:
        return self

    async def __anext__(self) -> R_co:
        while (item := self._take()) is None:
            if self._has_ended():
                raise StopAsyncIteration
            try:
                await wait_on_loop(self.outcome.connection, self._when_changed)
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self._read(item)

    def __await__(self) -> Generator[Any, None, DeploymentResponseGenerator[R_co]]:
        return self.value().__await__()

    async def value(self) -> DeploymentResponseGenerator[R_co]:
        """The generator itself, when the method has yielded, or ended; raises what it raised before that."""
        outcome = self.outcome
        if not outcome.is_ended:
            try:
                await wait_on_loop(outcome.connection, outcome.when_ended)
            except asyncio.CancelledError:
                self.cancel()
                raise
        self._begin()
        return self

    async def aclose(self) -> None:
        """As :meth:`cancel`, under the name that Python's own asynchronous generators have for it."""
        self.cancel()

    async def payloads(self) -> AsyncGenerator[Payload, None]:
        """The items undecoded, for whoever passes the stream on, on the loop that runs gRPC."""
        try:
            while True:
                while (item := self._take()) is None:
                    if self._has_ended():
                        return
                    await wait_on_loop(self.outcome.connection, self._when_changed)
                self._count(item)
                yield item
        finally:
            self.cancel()

    def give(self) -> AsyncGenerator[Payload, None]:
        """As :meth:`payloads`. Raises :class:`mesh.errors.PayloadError` when somebody has it already."""
        if self._is_given:
            raise errors.PayloadError(
                f"the stream of {self.outcome.name} was passed on already: a stream goes to one reader, "
                "who gets all of its items"
            )
        self._is_given = True
        return self.payloads()

    # --- in threads without a loop, plain methods and notebook cells

    def __iter__(self) -> DeploymentResponseGenerator[R_co]:
        refuse_to_block(self.outcome.connection)
        return self

    def __next__(self) -> R_co:
        while (item := self._take()) is None:
            if self._has_ended():
                raise StopIteration
            wait_in_thread(self.outcome.connection, self._when_changed)
        return self._read(item)

    def result(self, timeout_s: float | None = None) -> DeploymentResponseGenerator[R_co]:
        """The generator itself, when the method has yielded, or ended; raises what it raised before that.

        Raises :class:`mesh.errors.DeadlineExceeded` after ``timeout_s`` seconds, which leaves the call alone.
        """
        self.outcome.wait_ended(timeout_s)
        self._begin()
        return self

    def close(self) -> None:
        """As :meth:`cancel`, under the name that Python's own generators have for it."""
        self.cancel()

    # --- in both

    def cancel(self) -> None:
        """Cancel the method wherever it is; items that are here already are dropped."""
        if not self._is_over:
            self._is_cancelled = True
            self.outcome.cancel()

    def cancelled(self) -> bool:
        """Whether it was cancelled before its end."""
        return self._is_cancelled

    def done(self) -> bool:
        """Whether all items were read, or the end was told in another way."""
        return self._is_over

    def _begin(self) -> ItemStream | None:
        """The stream, as soon as the call has one."""
        if self._stream is None and self.outcome.is_ended:
            result = self.outcome.result()
            if not isinstance(result, ItemStream):
                self._is_over = True
                raise result if isinstance(result, BaseException) else self._no_items()
            self._stream = result
        return self._stream

    def _no_items(self) -> TypeError:
        name = self.outcome.name
        return TypeError(f"{name} has returned a value instead of yielding items: call it without stream=True")

    def _take(self) -> Payload | None:
        if self._is_cancelled or self._is_over:
            return None
        stream = self._stream or self._begin()
        return None if stream is None else stream.take()

    def _has_ended(self) -> bool:
        """Whether there is nothing to wait for; raises once what the stream ended with."""
        if self._is_over:
            return True
        if self._is_cancelled:
            self._is_over = True
            raise errors.RequestCancelled(f"the call of {self.outcome.name} was cancelled")
        stream = self._stream
        if stream is None or not stream.has_ended():
            return False
        self._is_over = True
        if stream.error is not None:
            raise stream.error
        return True

    def _when_changed(self, callback: Callable[[], object]) -> None:
        stream = self._stream
        if stream is None:
            self.outcome.when_ended(callback)
        else:
            stream.when_changed(callback)
            self.outcome.connection.on_loop(stream.wanted, self._unpaid())

    def _unpaid(self) -> tuple[int, int]:
        unpaid = self._unpaid_items, self._unpaid_bytes
        self._unpaid_items = self._unpaid_bytes = 0
        return unpaid

    def _read(self, item: Payload) -> R_co:
        self._count(item)
        try:
            value: R_co = decode(item)
            return value
        except BaseException:
            self.cancel()
            self._is_over = True
            raise

    def _count(self, item: Payload) -> None:
        self._unpaid_items += 1
        self._unpaid_bytes += item.size_bytes
        if self._unpaid_bytes + self._unpaid_items * _EMPTY >= _TOLD_AT_ONCE:
            assert self._stream is not None
            self.outcome.connection.on_loop(self._stream.taken, self._unpaid())

    def __del__(self) -> None:
        if not self._is_over and not self._is_cancelled:
            with suppress(RuntimeError):  # the loop that runs gRPC is closed: nothing is left to cancel
                self.outcome.cancel_soon()

    def __reduce__(self) -> tuple[Any, ...]:
        return attached_value, (attach(self),)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of {self.outcome.name}: read it with `async for`, or `for` outside of coroutines>"
        )


_EMPTY = item_cost(0)
