"""What a generator method yields, on its way to the caller: asynchronous generators on the loop, plain ones on turns.

Both run ahead of the caller by the credit that the session has for the call, and no further.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Any

from mesh.frames import item_cost
from mesh.payload import Encoded, Payload, encode_result
from mesh.response import ATTACHABLES, complete
from mesh.segments.copying import keep

if TYPE_CHECKING:
    from sidecar.session import ReplicaSession
    from sidecar.work import Work

LONGEST_RUN_S = 0.0005
"""How long items may be yielded without the loop having been asked for in between."""

_LAST = object()


class ItemsOfLoop:
    """The items of an asynchronous generator, which runs in the task of its call."""

    __slots__ = ("_call_id", "_generator", "_session", "_work", "_writable")

    def __init__(self, work: Work, session: ReplicaSession, call_id: int, generator: AsyncIterator[Any]) -> None:
        self._work = work
        self._session = session
        self._call_id = call_id
        self._generator = generator
        self._writable: asyncio.Event | None = None

    async def send(self) -> None:
        """Send all items. However that ends, the generator has ended, too."""
        session, call_id, writable, work = self._session, self._call_id, self._session.end.writable, self._work
        pause_s = 0.0
        try:
            async for item in self._generator:
                if work.is_cancelled:  # and the generator has caught that
                    raise asyncio.CancelledError
                encoded = encode_result(item, ATTACHABLES)
                payload = await complete(encoded) if encoded.attached or encoded.loose else encoded.with_payloads(())
                work.sends_item()
                session.send_item(call_id, payload)
                if not writable(call_id):
                    await self._wait_writable()
                elif monotonic() >= pause_s:
                    await asyncio.sleep(0)  # items of the same moment share a batch; one before a long step is sent now
                    pause_s = monotonic() + LONGEST_RUN_S
        finally:
            close = getattr(self._generator, "aclose", None)
            if close is not None:
                await close()

    async def _wait_writable(self) -> None:
        while not self._session.end.writable(self._call_id):
            if self._work.is_cancelled:
                raise asyncio.CancelledError
            self._writable = asyncio.Event()
            await self._writable.wait()

    # On the loop, told by the call.

    def credited(self) -> None:
        """The caller has taken items."""
        if self._writable is not None:
            self._writable.set()

    def cancelled(self) -> None:
        """Nobody wants more. The task is cancelled by whoever says so."""


class ItemsOfTurn:
    """The items of a plain generator. Each step queues for the turn; between two steps it is on no thread.

    ``ended`` is called on the loop, once, when the generator has ended: with what it raised, CancelledError when it
    was closed because nobody wants more, or None.
    """

    __slots__ = ("_allowed", "_call_id", "_context", "_ended", "_generator", "_is_cancelled", "_is_parked", "_made",
                 "_sent", "_session", "_work")  # fmt: skip

    def __init__(
        self,
        work: Work,
        session: ReplicaSession,
        call_id: int,
        generator: Generator[Any, Any, Any],
        context: Context,
        ended: Callable[[BaseException | None], object],
    ) -> None:
        self._work = work
        self._session = session
        self._call_id = call_id
        self._generator = generator
        self._context = context
        self._ended = ended
        self._is_cancelled = False
        # Credit is counted from the beginning, so that each number has one writer: the turn's thread or the loop.
        self._made = 0  # what all items cost that the generator has made
        self._sent = 0  # what those cost that have come to the loop
        self._allowed = 1  # up to where it may go on by itself: the first item is sent before there is a second one
        self._is_parked = False  # neither on a thread nor in the queue for the turn; the loop sends it on

    def step(self) -> None:
        """Make the next item, on a turn, and queue for the one after it."""
        to_loop = self._session.crossing.put
        try:
            if self._is_cancelled:
                self._work.on_turn(self._context.run, self._generator.close)
                to_loop(self._ended, asyncio.CancelledError())
                return
            encoded: Encoded | None = self._work.on_turn(self._context.run, self._next)
        except BaseException as error:
            to_loop(self._ended, error)
            return
        if encoded is None:
            to_loop(self._ended, None)
        elif encoded.attached:
            to_loop(self._gather, encoded)
        else:
            payload = encoded.with_payloads(())
            self._made += item_cost(payload.size_bytes)
            to_loop(self._send, payload)
            if self._made < self._allowed:
                self._session.turns.submit(self.step)
            else:
                to_loop(self._go_on, None)

    def _next(self) -> Encoded | None:
        item = next(self._generator, _LAST)
        if item is _LAST:
            return None
        encoded = encode_result(item, ATTACHABLES)
        return encoded.kept(keep(encoded.loose)) if encoded.loose else encoded  # before the next step may change them

    # On the loop.

    def _send(self, payload: Payload) -> None:
        self._sent += item_cost(payload.size_bytes)
        self._work.sends_item()
        self._session.send_item(self._call_id, payload)

    def _go_on(self, _: None = None) -> None:
        """All items that were made have been sent: queue for the next, or wait for credit."""
        self._allowed = self._sent + self._session.end.room(self._call_id)
        self._is_parked = self._allowed <= self._made and not self._is_cancelled
        if not self._is_parked:
            self._session.turns.submit(self.step)

    def _gather(self, encoded: Encoded) -> None:
        """An item that mentions other calls: it is sent when they have ended, and the generator waits for that."""
        task = self._session.loop.create_task(complete(encoded))
        self._work.task = task
        task.add_done_callback(self._gathered)

    def _gathered(self, task: asyncio.Task[Payload]) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            self._made += item_cost(task.result().size_bytes)
            self._send(task.result())
            self._go_on()
        else:
            self._session.turns.submit(lambda: self._close(error))

    def _close(self, error: BaseException) -> None:
        """End it on a turn because an item cannot be sent."""
        try:
            self._work.on_turn(self._context.run, self._generator.close)
        except BaseException as raised:
            error = raised
        self._session.crossing.put(self._ended, error)

    def credited(self) -> None:
        """The caller has taken items."""
        if self._is_parked:
            self._go_on()
        else:
            self._allowed = self._sent + self._session.end.room(self._call_id)

    def cancelled(self) -> None:
        """Nobody wants more: it is closed, at the next step or, when there is none to come, now."""
        self._is_cancelled = True
        if self._is_parked:
            self._go_on()
