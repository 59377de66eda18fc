"""``@mesh.multiplexed``: many models, of which each replica holds a few and loads others when they are asked for."""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar, copy_context
from typing import Any, overload

from mesh.context import LONGEST_MODEL_ID, RequestContext, current, new_request_id, surroundings, turn
from mesh.errors import ConfigError
from mesh.lru import LRU
from mesh.per_object import PerObject


@overload
def multiplexed(function: Callable[..., Any], /) -> Multiplexed: ...
@overload
def multiplexed(*, max_num_models_per_replica: int = 3) -> Callable[[Callable[..., Any]], Multiplexed]: ...
def multiplexed(
    function: Callable[..., Any] | None = None, /, *, max_num_models_per_replica: int = 3
) -> Multiplexed | Callable[[Callable[..., Any]], Multiplexed]:
    """Makes a method or function that loads the model of an id one that loads it when it is not there yet.

    A replica holds at most ``max_num_models_per_replica`` models of it (-1 = any number). When one more is asked for,
    the one that was used longest ago is let go first: the loader forgets it, and its ``__del__`` runs as soon as no
    request uses it any more. Loads run one at a time, each model's once for all who ask meanwhile. A load that raises
    does so for all of them, and is tried again when the model is asked for again.

    >>> import asyncio
    >>> from mesh.multiplexing import multiplexed
    >>> @multiplexed(max_num_models_per_replica=2)
    ... async def model(model_id: str) -> str:
    ...     print("loading", model_id)
    ...     return model_id.upper()
    >>> async def twice() -> str:
    ...     return await model("a") + await model("a")
    >>> asyncio.run(twice())
    loading a
    'AA'

    A call says which model it wants by ``handle.options(multiplexed_model_id="a")``, over HTTP by the header
    ``mesh-multiplexed-model-id``; it goes to a replica that holds the model as long as that has no longer queue than
    others. :func:`get_multiplexed_model_id` tells it where it arrives, and calls made from there want the same.
    """
    size = max_num_models_per_replica
    if not isinstance(size, int) or isinstance(size, bool) or (size < 1 and size != -1):
        raise ConfigError(f"max_num_models_per_replica must be a whole number of at least 1, or -1, not {size!r}")
    if function is not None:
        return Multiplexed(function, size)
    return lambda decorated: Multiplexed(decorated, size)


def get_multiplexed_model_id() -> str:
    """The model that the present request wants; "" when it did not say, and outside of a request."""
    request = current.get()
    return "" if request is None else request.model_id


class Multiplexed(PerObject["AsyncLoader | Loader"]):
    """What :func:`multiplexed` makes: a function, or in a class a method of each object with models of its own."""

    def __init__(self, function: Callable[..., Any], size: int) -> None:
        super().__init__("mesh.multiplexed", function)
        self._size = size

    def _bind(self, function: Callable[..., Any]) -> AsyncLoader | Loader:
        size = sys.maxsize if self._size == -1 else self._size
        return (AsyncLoader if inspect.iscoroutinefunction(function) else Loader)(function, size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.__wrapped__, self._size, self._is_method)


def _rebuilt(function: Callable[..., Any], size: int, is_method: bool) -> Multiplexed:
    made = Multiplexed(function, size)
    made._is_method = is_method
    return made


_is_loading: ContextVar[bool] = ContextVar("mesh_is_loading", default=False)
"""The running code loads a model, so what it asks for cannot wait for that."""


class AsyncLoader:
    """The models that an ``async def`` has loaded for one object."""

    def __init__(self, function: Callable[..., Any], size: int) -> None:
        self._function = function
        self._models: LRU[Any] = LRU(size)
        self._loading: dict[str, asyncio.Task[Any]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, model_id: str) -> Any:
        _check(model_id)
        if model_id in self._models:
            return self._models.get(model_id)
        task = self._loading.get(model_id)
        if task is None:
            context = copy_context()
            # A request of its own: others wait for the model, too, when the one who asked first has gone.
            context.run(current.set, RequestContext(new_request_id(), model_id=model_id, surroundings=surroundings()))
            task = asyncio.get_running_loop().create_task(self._load(model_id), context=context)
            self._loading[model_id] = task
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # all who asked may have gone
        return await asyncio.shield(task)

    async def _load(self, model_id: str) -> Any:
        try:
            async with nullcontext() if _is_loading.get() else self._one_at_a_time:
                _is_loading.set(True)
                _let_go(self._models.make_room())
                _hold(model_id)
                try:
                    model = await self._function(model_id)
                except BaseException:
                    _let_go(model_id)
                    raise
                _let_go(self._models.make_room())  # the loader may have asked for a model itself
                self._models.put(model_id, model)
                return model
        finally:
            del self._loading[model_id]


class Loader:
    """The models that a plain ``def`` has loaded for one object, by whichever thread."""

    def __init__(self, function: Callable[..., Any], size: int) -> None:
        self._function = function
        self._models: LRU[Any] = LRU(size)
        self._one_at_a_time = threading.RLock()

    def __call__(self, model_id: str) -> Any:
        _check(model_id)
        if not self._one_at_a_time.acquire(blocking=False):
            self._wait_for_others()
        try:
            if model_id in self._models:
                return self._models.get(model_id)
            _let_go(self._models.make_room())
            _hold(model_id)
            try:
                model = self._function(model_id)
            except BaseException:
                _let_go(model_id)
                raise
            _let_go(self._models.make_room())  # the loader may have asked for a model itself
            self._models.put(model_id, model)
            return model
        finally:
            self._one_at_a_time.release()

    def _wait_for_others(self) -> None:
        """Wait until no other thread loads; the turn is others' meanwhile."""
        if asyncio._get_running_loop() is not None:
            raise RuntimeError(
                "a model is being loaded in a thread, and the event loop must not wait: load `async def`"
            )
        on_turn = turn.get()
        if on_turn is None:
            self._one_at_a_time.acquire()
        else:
            with on_turn.given_away():
                self._one_at_a_time.acquire()


def _check(model_id: object) -> None:
    if not isinstance(model_id, str) or not 0 < len(model_id) <= LONGEST_MODEL_ID:
        raise ValueError(
            f"the id of a model is a string of 1 to {LONGEST_MODEL_ID} characters, not {model_id!r:.100}; a request "
            'says which model it wants by handle.options(multiplexed_model_id="..."), or by the header '
            "mesh-multiplexed-model-id"
        )


def _hold(model_id: str) -> None:
    """From now on routers may send calls for that model here."""
    if (around := surroundings()) is not None:
        around.models.hold(model_id)


def _let_go(model_id: str | None) -> None:
    """The model is here no longer, if there was one."""
    if model_id is not None and (around := surroundings()) is not None:
        around.models.release(model_id)
