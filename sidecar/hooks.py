"""Calls of the user's code that no request makes: the constructor, ``reconfigure``, ``check_health``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from mesh.context import RequestContext, Surroundings, current, new_request_id, turn
from mesh.loops import Crossing, settle
from sidecar.user_code import BoundMethod


class Hooks:
    """Calls them where requests would run: ``async def`` on the loop, anything else on the turn."""

    def __init__(self, surroundings: Surroundings, crossing: Crossing) -> None:
        self._surroundings = surroundings
        self._crossing = crossing

    async def call(self, method: BoundMethod, *args: Any, on_start: Callable[[], object] = lambda: None) -> None:
        """Call a method of the user's object; ``on_start`` is called on the loop when it really begins."""
        if not method.runs_on_loop:
            await self.on_turn(lambda: method.function(*args), on_start)
            return
        on_start()
        task = self._surroundings.loop.create_task(_awaited(method.function, args), context=self._context())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait((task,))
            raise

    async def on_turn(self, function: Callable[[], object], on_start: Callable[[], object] = lambda: None) -> None:
        """Call a plain function when its turn comes; it goes on when whoever waits for it is cancelled."""
        ended: asyncio.Future[None] = self._surroundings.loop.create_future()
        context = self._context()
        context.run(turn.set, self._surroundings.turns)

        def job() -> None:
            self._crossing.put(lambda _: on_start(), None)
            try:
                context.run(function)
            except BaseException as error:
                self._crossing.put(settle, (ended, None, error))
            else:
                self._crossing.put(settle, (ended, None, None))

        self._surroundings.turns.submit(job)
        await ended

    def _context(self) -> Context:
        """A request of its own, without a deadline: what the code calls is called by nobody else."""
        context = copy_context()
        context.run(current.set, RequestContext(new_request_id(), surroundings=self._surroundings))
        return context


async def _awaited(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    result = function(*args)
    if hasattr(result, "__await__"):
        await result
