"""The calls of one batched function of one object: gathered on a loop until they are a batch.

All of it happens on one loop but the user's plain functions, which run on the turn of the replica.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from mesh.batch_queue import BatchQueue, BatchSettings
from mesh.batch_run import Batch, BatchedFunction, Caller
from mesh.context import Surroundings


class Batches:
    """Makes batches of calls, each with a value for every parameter of the function.

    Of an ``async def`` one batch runs at a time, so the next one gathers meanwhile. Plain functions queue for the turn,
    a full batch at once. ``surroundings`` are those of the replica, without which a plain function cannot be run.
    """

    def __init__(self, function: BatchedFunction, settings: BatchSettings, surroundings: Surroundings | None) -> None:
        self.loop = asyncio.get_running_loop()
        self._function = function
        self._surroundings = surroundings
        self._queue: BatchQueue[Caller] = BatchQueue(settings)
        self._running: set[Batch] = set()
        self._look: asyncio.Handle | None = None
        self._looks_soon = False

    async def call(self, arguments: tuple[Any, ...]) -> Any:
        """The result for one call."""
        caller = self._put(arguments)
        try:
            await caller.wait()
            return caller.items.popleft()
        finally:
            self._leave(caller)

    async def stream(self, arguments: tuple[Any, ...]) -> AsyncGenerator[Any, None]:
        """The items for one call of a generator."""
        caller = self._put(arguments)
        try:
            while await caller.wait():
                yield caller.items.popleft()
                if caller.batch is not None:
                    caller.batch.changed()
        finally:
            self._leave(caller)

    def _put(self, arguments: tuple[Any, ...]) -> Caller:
        caller = Caller(arguments)
        self._queue.put(caller, "" if caller.request is None else caller.request.model_id, self.loop.time())
        if not self._looks_soon:
            self._look_at(None)
        return caller

    def _leave(self, caller: Caller) -> None:
        caller.is_gone = True
        if caller.batch is None:
            self._queue.leave(caller)
        else:
            caller.batch.changed()

    def _look_at(self, moment_s: float | None) -> None:
        """Look for a batch at that moment; None is the end of this tick, so that what comes together goes together."""
        if self._look is not None:
            self._look.cancel()
        self._looks_soon = moment_s is None
        if moment_s is None:
            self._look = self.loop.call_soon(self._start_due)
        else:
            self._look = self.loop.call_at(moment_s, self._start_due)

    def _start_due(self) -> None:
        self._look, self._looks_soon = None, False
        while not (self._running and self._function.is_async):
            callers = self._queue.take(self.loop.time(), only_full=bool(self._running))
            if not callers:
                if self._queue and not self._running:
                    self._look_at(self._queue.due_s())
                return
            batch = Batch(self._function, callers, self._surroundings)
            self._running.add(batch)
            batch.start(self.loop).add_done_callback(lambda _, ended=batch: self._ended(ended))  # type: ignore[misc]

    def _ended(self, batch: Batch) -> None:
        self._running.discard(batch)
        if self._queue:
            self._look_at(None)
