"""One request on its way through a router: it is routed, perhaps more than once, and ends exactly once.

A call lives on the loop that runs gRPC. Whoever made it is told through its :class:`Ending`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from mesh import errors
from mesh.context import RequestContext, encode_call_context, new_request_id
from mesh.deadline import NEVER
from mesh.payload import Payload
from mesh.router.item_stream import ItemStream
from mesh.segments.buffer import Buffer
from mesh.v1 import payload_pb2

if TYPE_CHECKING:
    from mesh.router.router import Router
    from mesh.router.session import Session


class Ending(Protocol):
    """Who waits for a call."""

    def read_error(self, detail: payload_pb2.ErrorDetail, /) -> BaseException:
        """The exception that the replica told of, rebuilt or described, as it suits whoever waits."""
        ...

    def routed(self) -> None:
        """The call was written to a replica's session; a later rejection routes it anew without telling."""
        ...

    def ended(self, result: Payload | ItemStream | BaseException) -> None:
        """The call has its result, its first item, or has failed. Comes once, and last."""
        ...


class Call:
    """What is asked, by whom, until when; and where it is now."""

    __slots__ = (
        "_credit", "_item_timeout_s", "_pump", "_stream", "call_id", "context", "created_s", "deadline", "ending",
        "is_over", "items", "items_begun", "method", "model_id", "parent", "payload", "request_id", "retries",
        "retry_on_death", "router", "sent_s", "session", "timeout_s", "waits",
    )  # fmt: skip

    def __init__(
        self,
        router: Router,
        method: str,
        ending: Ending,
        parent: RequestContext | None,
        *,
        timeout_s: float | None = None,
        retry_on_death: bool | None = None,
        items: AsyncIterator[Payload] | None = None,
        model_id: str = "",
    ) -> None:
        self.router = router
        self.method = method
        self.ending = ending
        self.parent = parent
        self.payload: Payload = _NOTHING
        self.request_id = new_request_id() if parent is None else parent.request_id
        self.context = b"" if parent is None else parent.wire
        self.model_id = "" if parent is None else parent.model_id
        if model_id and model_id != self.model_id:
            self.model_id = model_id
            self.context = encode_call_context(
                "" if parent is None else parent.traceparent, () if parent is None else parent.chain, model_id
            )
        self.created_s = monotonic()
        self.deadline = NEVER if parent is None else parent.deadline
        self.timeout_s = timeout_s
        self._item_timeout_s = timeout_s
        self.retry_on_death = retry_on_death
        self.retries = 0
        """Times that it was run again because a replica died with it."""
        self.items = items
        self.items_begun = False
        """Items were sent or have come: it cannot be sent again from the beginning."""
        self.waits = False  # a thread waits for room in its name, so it is queued beyond the limit
        self.sent_s = 0.0
        """When it was last put into a session."""
        self.session: Session | None = None
        self.call_id = 0
        self.is_over = False
        self._stream: ItemStream | None = None
        self._pump: asyncio.Task[None] | None = None
        self._credit: asyncio.Event | None = None
        if parent is not None:
            parent.calls.add(self)

    @property
    def is_streaming(self) -> bool:
        """An item of its answer has come."""
        return self._stream is not None

    def bound(self, request_timeout_s: float | None) -> None:
        """Set the deadline: after the caller's timeout, or else the deployment's; never after that of the parent."""
        timeout_s = self._item_timeout_s = request_timeout_s if self.timeout_s is None else self.timeout_s
        deadline = NEVER if timeout_s is None else self.created_s + timeout_s
        self.deadline = deadline if self.parent is None else min(deadline, self.parent.deadline)

    def end(self, result: Payload | BaseException) -> None:
        """Tell the end, once. Whoever reads a stream already is told of an error, whatever comes in its place."""
        if self.is_over:
            return
        if self._stream is None:
            ending = self.ending
            self._over()
            ending.ended(result)
        else:
            self._over()
            if not isinstance(result, BaseException):  # whoever reads the stream must not wait for ever
                result = errors.MeshError(f"{self.router.name}.{self.method} sent a whole answer after items of one")
            self._stream.close(result)

    def _over(self) -> None:
        self.is_over = True
        self.session = None
        # Large buffers of the arguments are free from now on, and those of the result with whoever waited for it:
        # it holds this call, so being held by it would leave both to the garbage collector.
        self.payload, self.ending = _NOTHING, _NOBODY
        if self.parent is not None:
            self.parent.calls.discard(self)
        if self.waits:
            self.router.thread_room.leave()
            self.waits = False
        if self._pump is not None:
            self._pump.cancel()

    def opened(self, session: Session, call_id: int) -> None:
        """The router has put the call into a session."""
        self.session, self.call_id = session, call_id
        if self.waits:
            self.router.thread_room.leave()
            self.waits = False
        if self.items is not None and self._pump is None:
            self._credit = asyncio.Event()
            self._pump = asyncio.get_running_loop().create_task(self._send_items(self.items))
        self.ending.routed()

    def cancel(self, error: BaseException | None = None) -> None:
        """Nobody waits any more: the replica is told, and the call ends with ``error``."""
        if self.is_over:
            return
        if self.session is not None:
            self.session.cancel(self.call_id)
        self.end(error or errors.RequestCancelled(f"the call of {self.router.name}.{self.method} was cancelled"))

    def expire(self) -> None:
        """The deadline has passed."""
        waited_s = monotonic() - self.created_s
        self.cancel(
            errors.DeadlineExceeded(
                f"{self.router.name}.{self.method} did not end in time: "
                f"{waited_s:.3f} s after the call it was {self._where()}"
            )
        )

    def _where(self) -> str:
        session = self.session
        if session is None:
            return f"waiting {self.router.lacking}"
        if session.end.has_sent(self.call_id):
            return f"working in {session.replica_id}"
        return f"waiting to be sent to {session.replica_id}"

    def expect_item(self) -> None:
        """Whoever reads the answer's items waits for the next one, which has to come in time."""
        if self._item_timeout_s is not None and self.session is not None:
            self.deadline = monotonic() + self._item_timeout_s
            self.session.watch_deadline(self.deadline)

    def expect_nothing(self) -> None:
        """Nobody waits for an item of the answer."""
        self.deadline = NEVER

    async def _send_items(self, items: AsyncIterator[Payload]) -> None:
        """Send the items as the replica gives credit. The first credit shows that it has begun and wants them."""
        assert self._credit is not None
        try:
            await self._wait_credit()
            async for item in items:
                self.items_begun = True
                if self.session is None:
                    return
                self.session.send_item(self.call_id, item)
                await self._wait_credit()
            if self.session is not None:
                self.session.half_close(self.call_id)
        except Exception as error:
            self.cancel(error)
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    async def _wait_credit(self) -> None:
        assert self._credit is not None
        while self.session is None or not self.session.end.writable(self.call_id):
            self._credit.clear()
            await self._credit.wait()

    # What the session's end tells: see mesh.frames.Answered.

    def replied(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None:
        self.end(Payload(encoding, body, buffers))

    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None:
        if self.is_over:
            return
        if self._stream is None:
            self.items_begun = True
            self._stream = ItemStream(self)
            self.ending.ended(self._stream)
        # Between items the time starts anew; how long the whole stream takes is its own affair.
        timeout_s = self._item_timeout_s if self._stream.is_clocked else None
        self.deadline = NEVER if timeout_s is None else monotonic() + timeout_s
        self._stream.put(Payload(encoding, body, buffers))

    def ended(self) -> None:
        if self._stream is None:
            self._stream = ItemStream(self)
            self.ending.ended(self._stream)
        self._over()
        self._stream.close(None)

    def failed(self, detail: payload_pb2.ErrorDetail) -> None:
        if detail.type_name:
            self.end(self.ending.read_error(detail))
        else:
            self.end(errors.RequestCancelled("the replica cancelled the call"))

    def rejected(self) -> None:
        session, self.session = self.session, None
        assert session is not None
        self.router.rejected(self, session)

    def credited(self) -> None:
        if self._credit is not None:
            self._credit.set()

    def cut(self) -> None:
        session, self.session = self.session, None
        assert session is not None
        self.router.cut(self, session)


class _Nobody:
    """Waits for a call that is over."""

    def read_error(self, _: payload_pb2.ErrorDetail) -> BaseException:
        return errors.RequestCancelled("the call is over")

    def routed(self) -> None: ...

    def ended(self, _: Payload | ItemStream | BaseException) -> None: ...


_NOTHING = Payload(0, b"")
_NOBODY = _Nobody()
