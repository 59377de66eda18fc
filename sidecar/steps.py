"""A plain generator read from the loop, for an answer that leaves in pieces by another way than a call's items."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from mesh.loops import settle

if TYPE_CHECKING:
    from sidecar.work import Work

_LAST = object()


async def steps_on_turn(work: Work, generator: Generator[Any, None, None]) -> AsyncGenerator[Any, None]:
    """The items of ``generator``, each step on the turn; between steps it is on no thread."""
    context = copy_context()
    try:
        while (item := await _on_turn(work, context, next, generator, _LAST)) is not _LAST:
            yield item
    finally:
        await asyncio.shield(_on_turn(work, context, generator.close))


def _on_turn(work: Work, context: Context, function: Any, *args: Any) -> asyncio.Future[Any]:
    session = work.session
    future: asyncio.Future[Any] = session.loop.create_future()

    def step() -> None:
        try:
            result, error = work.on_turn(context.run, function, *args), None
        except BaseException as raised:
            result, error = None, raised
        session.crossing.put(settle, (future, result, error))

    session.turns.submit(step)
    return future
