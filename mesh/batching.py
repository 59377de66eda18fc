"""``@mesh.batch``: calls that come at about the same time are made as one, with lists for arguments and results."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextvars import Context, copy_context
from typing import Any, overload

from mesh.batch_queue import BatchSettings
from mesh.batch_run import BatchedFunction, is_end
from mesh.batches import Batches
from mesh.context import Surroundings, current, surroundings, turn
from mesh.errors import ConfigError
from mesh.loops import crossing_to
from mesh.per_object import PerObject


@overload
def batch(function: Callable[..., Any], /) -> Batched: ...
@overload
def batch(
    *, max_batch_size: int = 10, batch_wait_timeout_s: float = 0.0
) -> Callable[[Callable[..., Any]], Batched]: ...
def batch(
    function: Callable[..., Any] | None = None,
    /,
    *,
    max_batch_size: int = 10,
    batch_wait_timeout_s: float = 0.0,
) -> Batched | Callable[[Callable[..., Any]], Batched]:
    """Makes a method or a function one that takes many calls at once: lists in, a list out.

    Whoever calls it calls it for one: each argument of the call is one element of the list that the function gets for
    that parameter, and the result of the call is the element at the same place of what it returns. A generator yields
    lists, of which each caller gets its own stream; ``StopIteration`` in place of an item ends one caller's.

    A batch has at most ``max_batch_size`` calls. Its first call waits up to ``batch_wait_timeout_s`` seconds for
    others, and in any case while a batch before it runs. Calls for different multiplexed models share no batch.

    >>> import asyncio
    >>> from mesh.batching import batch
    >>> @batch(max_batch_size=8)
    ... async def doubled(numbers: list[int]) -> list[int]:
    ...     return [2 * number for number in numbers]
    >>> async def both() -> list[int]:
    ...     return await asyncio.gather(doubled(1), doubled(2))
    >>> asyncio.run(both())
    [2, 4]

    An exception, or a wrong number of results, is raised in every caller of the batch. Both settings can be changed
    for one object, in its ``reconfigure`` for instance: ``self.method.set_max_batch_size(4)`` and
    ``self.method.set_batch_wait_timeout_s(0.01)``.

    Calls of a plain ``def`` are gathered in a replica, before its turn; elsewhere each is a batch of one. Raises
    :class:`mesh.errors.ConfigError` for settings and functions that cannot be.
    """
    settings = BatchSettings(1, 0.0)
    settings.set_max_batch_size(max_batch_size)
    settings.set_batch_wait_timeout_s(batch_wait_timeout_s)
    if function is not None:
        return Batched(function, settings)
    return lambda decorated: Batched(decorated, settings)


class Batched(PerObject["BoundBatched"]):
    """What :func:`batch` makes: a function, or in a class a method of each object with batches of its own."""

    def __init__(self, function: Callable[..., Any], settings: BatchSettings) -> None:
        super().__init__("mesh.batch", function)
        self._settings = settings
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                raise ConfigError(
                    f"{function.__qualname__} cannot be batched: it gets a list for each parameter, in their order, "
                    f"so there is no place for {parameter}"
                )

    def _bind(self, function: Callable[..., Any]) -> BoundBatched:
        return BoundBatched(function, self._own_settings())

    def _own_settings(self) -> BatchSettings:
        return BatchSettings(self._settings.max_batch_size, self._settings.batch_wait_timeout_s)

    @property
    def __mesh_batched__(self) -> Callable[..., Any]:
        """The function that was decorated: it says what kind of method this is."""
        return self.__wrapped__

    def __mesh_gathered__(self) -> Callable[..., Any]:
        """See :meth:`BoundBatched.__mesh_gathered__`."""
        return self.here().__mesh_gathered__()

    def set_max_batch_size(self, value: int) -> None:
        """How many calls a batch of this function has at most, in this replica."""
        self.here().set_max_batch_size(value)

    def set_batch_wait_timeout_s(self, value: float) -> None:
        """How many seconds the first call of a batch of this function waits for others, in this replica."""
        self.here().set_batch_wait_timeout_s(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.__wrapped__, self._own_settings(), self._is_method)


def _rebuilt(function: Callable[..., Any], settings: BatchSettings, is_method: bool) -> Batched:
    batched = Batched(function, settings)
    batched._is_method = is_method
    return batched


class BoundBatched:
    """A batched method of one object, or a batched function in one replica."""

    def __init__(self, function: Callable[..., Any], settings: BatchSettings) -> None:
        functools.update_wrapper(self, function)
        self._settings = settings
        self.set_max_batch_size = settings.set_max_batch_size
        self.set_batch_wait_timeout_s = settings.set_batch_wait_timeout_s
        self._signature = inspect.signature(function)
        if not self._signature.parameters:
            raise ConfigError(f"{function.__qualname__} cannot be batched: it has no parameter to take a list by")
        self._function = BatchedFunction(
            function.__qualname__,
            function,
            is_async=inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
            yields=inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        )
        self._batches: Batches | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments = self._arguments(args, kwargs)
        if self._function.is_async:
            return self._gathered(arguments)
        if self._function.yields:
            return self._alone_yielding(arguments)
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(
                f"{self._function.name} is a plain `def`, which would block the event loop while it waits for its "
                "batch: make it `async def`, or call it by a handle"
            )
        around = surroundings()
        return self._alone(arguments) if around is None else self._wait_gathered(arguments, around)

    def __mesh_gathered__(self) -> Callable[..., Any]:
        """The function as a coroutine function or an asynchronous generator: how a replica calls it for others."""

        def gathered(*args: Any, **kwargs: Any) -> Any:
            return self._gathered(self._arguments(args, kwargs))

        return functools.update_wrapper(gathered, self._function.function)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """A value for every parameter. Raises TypeError as a call of the function would."""
        if not kwargs and len(args) == len(self._signature.parameters):
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def _gathered(self, arguments: tuple[Any, ...]) -> Any:
        batches = self._batches
        if batches is None or batches.loop is not asyncio.get_running_loop():
            batches = self._batches = Batches(self._function, self._settings, surroundings())
        return batches.stream(arguments) if self._function.yields else batches.call(arguments)

    def _wait_gathered(self, arguments: tuple[Any, ...], around: Surroundings) -> Any:
        """From a plain method of the replica: the turn is others' while it waits, and its end is the end of this."""
        ended = threading.Event()
        task: list[asyncio.Task[Any]] = []

        def start(context: Context) -> None:
            waiting = around.loop.create_task(self._gathered(arguments), context=context)
            waiting.add_done_callback(lambda _: ended.set())
            task.append(waiting)
            if (request := context.get(current)) is not None:
                request.calls.add(waiting)
                waiting.add_done_callback(request.calls.discard)
                if request.cancelled:
                    waiting.cancel()

        crossing_to(around.loop).put(start, copy_context())
        on_turn = turn.get()
        if on_turn is None:
            ended.wait()
        else:
            with on_turn.given_away():
                ended.wait()
        return task[0].result()

    def _alone(self, arguments: tuple[Any, ...]) -> Any:
        results = self._function.function(*([value] for value in arguments))
        return next(iter(self._function.checked(results, 1)))

    def _alone_yielding(self, arguments: tuple[Any, ...]) -> Iterator[Any]:
        for results in self._function.function(*([value] for value in arguments)):
            item = next(iter(self._function.checked(results, 1)))
            if is_end(item):
                return
            yield item
