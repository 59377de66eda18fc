"""One batch: the run of a user's function for several callers, each of whom is told what is his."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from mesh.context import LONGEST_CHAIN, RequestContext, Surroundings, current, encode_call_context, turn
from mesh.loops import crossing_to, settle

ITEMS_AHEAD = 16
"""So many items a batched generator makes for a caller who has not read them; then it waits, with all of its batch."""

_LAST = object()


@dataclass(frozen=True, slots=True)
class BatchedFunction:
    """The user's function: it takes a list for each parameter and gives a list, or yields lists."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    yields: bool

    def checked(self, results: Any, count: int) -> Sequence[Any]:
        """The results, when there is one for each of ``count`` calls. Raises TypeError or ValueError that says so."""
        made = "yield" if self.yields else "return"
        if isinstance(results, str | bytes | dict | set) or not hasattr(results, "__len__"):
            raise TypeError(
                f"{self.name} has to {made} a list with one result for each of the {count} calls of a batch, "
                f"not {type(results).__name__}"
            )
        if len(results) != count:
            raise ValueError(
                f"{self.name} was given a batch of {count} calls and has to {made} {count} results, in their order, "
                f"not {len(results)}"
            )
        return results  # type: ignore[no-any-return]


def is_end(item: object) -> bool:
    """In place of an item it says that this caller gets no more."""
    return item is StopIteration or isinstance(item, StopIteration)


class Caller:
    """One call: what it was made with, and what it is told."""

    __slots__ = ("_changed", "arguments", "batch", "error", "is_ended", "is_gone", "items", "request")

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments
        self.request = current.get()
        self.batch: Batch | None = None
        """None while it waits in the queue."""
        self.items: deque[Any] = deque()
        self.error: BaseException | None = None
        self.is_ended = False
        self.is_gone = False
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """It wants more, and has not been told that there is none."""
        return not (self.is_ended or self.is_gone)

    def give(self, item: Any) -> None:
        if self.is_open:
            self.items.append(item)
            self._tell()

    def end(self, error: BaseException | None = None) -> None:
        if self.is_open:
            self.is_ended = True
            self.error = error
            self._tell()

    def _tell(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def wait(self) -> bool:
        """Wait for an item; False when the end has come instead. Raises what it ended with."""
        while not self.items:
            if self.is_ended:
                if self.error is not None:
                    raise self.error
                return False
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        return True


class Batch:
    """One run of the user's function, for several callers."""

    def __init__(self, function: BatchedFunction, callers: Sequence[Caller], surroundings: Surroundings | None) -> None:
        self._function = function
        self._callers = callers
        self._surroundings = surroundings
        self._request = _request_of(callers, surroundings)
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        for caller in callers:
            caller.batch = self

    def start(self, loop: asyncio.AbstractEventLoop) -> asyncio.Task[None]:
        context = copy_context()
        context.run(current.set, self._request)
        self._task = loop.create_task(self._run(), context=context)
        return self._task

    def changed(self) -> None:
        """A caller has read an item, or is gone. When all are gone, nobody wants what runs."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        if self._task is not None and not self._task.done() and all(caller.is_gone for caller in self._callers):
            if self._request is not None:
                self._request.cancelled = True
                for call in list(self._request.calls):
                    call.cancel()
            self._task.cancel()

    async def _run(self) -> None:
        function = self._function
        try:
            lists = [list(values) for values in zip(*(caller.arguments for caller in self._callers), strict=True)]
            if function.yields:
                await self._give_items(function.function(*lists))
            else:
                results = await (function.function(*lists) if function.is_async else self._on_turn(lists))
                for caller, result in zip(self._callers, function.checked(results, len(self._callers)), strict=True):
                    caller.give(result)
                self._end(None)
        except BaseException as error:
            self._end(_raisable(error, function.name))

    def _end(self, error: BaseException | None) -> None:
        for caller in self._callers:
            caller.end(error)

    async def _give_items(self, generator: Any) -> None:
        """Give each caller its item of every list, and no more to one who has ended: StopIteration in its place."""
        steps: AsyncIterator[Any] = generator if self._function.is_async else self._steps_on_turn(generator)
        try:
            async for items in steps:
                for caller, item in zip(self._callers, self._function.checked(items, len(self._callers)), strict=True):
                    if is_end(item):
                        caller.end()
                    else:
                        caller.give(item)
                if not any(caller.is_open for caller in self._callers):
                    break
                while any(caller.is_open and len(caller.items) >= ITEMS_AHEAD for caller in self._callers):
                    self._room = asyncio.get_running_loop().create_future()
                    await self._room
            self._end(None)
        finally:
            await steps.aclose()  # type: ignore[attr-defined] # a generator

    async def _steps_on_turn(self, generator: Generator[Any, Any, Any]) -> AsyncGenerator[Any, None]:
        try:
            while (items := await self._on_turn([generator, _LAST], next)) is not _LAST:
                yield items
        finally:
            await asyncio.shield(self._on_turn([], generator.close))

    def _on_turn(self, arguments: Sequence[Any], function: Callable[..., Any] | None = None) -> asyncio.Future[Any]:
        """Call the user's function, or what belongs to it, when its turn comes; not when nobody waits by then."""
        around = self._surroundings
        assert around is not None
        ended: asyncio.Future[Any] = around.loop.create_future()
        context = copy_context()
        context.run(turn.set, around.turns)
        to_loop = crossing_to(around.loop).put
        called = function or self._function.function

        def job() -> None:
            if function is None and ended.cancelled():
                return
            try:
                result = context.run(called, *arguments)
            except BaseException as error:
                to_loop(settle, (ended, None, _raisable(error, self._function.name)))
            else:
                to_loop(settle, (ended, result, None))

        around.turns.submit(job)
        return ended


def _request_of(callers: Sequence[Caller], surroundings: Surroundings | None) -> RequestContext | None:
    """The request that a batch is for others: all of its callers' as one.

    It lasts as long as anybody waits, and holds every slot that one of them holds.
    """
    requests = [caller.request for caller in callers if caller.request is not None]
    if not requests:
        return None
    first = requests[0]
    replicas = tuple(dict.fromkeys(replica_id for request in requests for replica_id in request.chain[:-1]))
    chain = (*replicas[: LONGEST_CHAIN - 1], *first.chain[-1:])
    return RequestContext(
        first.request_id,
        max(request.deadline for request in requests),
        first.traceparent,
        chain,
        first.model_id,
        encode_call_context(first.traceparent, chain, first.model_id),
        surroundings=surroundings,
    )


def _raisable(error: BaseException, name: str) -> BaseException:
    """An exception that every caller can raise without ending itself; each raises the same one."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | StopAsyncIteration):
        return error
    wrapped = RuntimeError(f"{name} raised {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
