"""The end of a session in a replica."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mesh.frames import columns
from mesh.frames.columns import ITEMS_FOLLOW, PART, OpenFrame, ReplyFrame
from mesh.frames.end import SessionEnd
from mesh.frames.limits import DIRECT_BYTES, FRAME_BYTES, FRAME_OVERHEAD, WINDOW, item_cost
from mesh.frames.stream import Outgoing, Stream
from mesh.segments.buffer import Buffer
from mesh.v1.payload_pb2 import ERROR_KIND_BAD_CALL, ErrorDetail
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse

_LOST = ErrorDetail(
    kind=ERROR_KIND_BAD_CALL,
    type_name="mesh.errors.PayloadError",
    message="the replica could not open the shared memory of an item",
)


class Opened(Protocol):
    """What a replica's end tells a call that it has taken, which must not raise. After ``cancelled`` comes nothing."""

    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None: ...
    def half_closed(self) -> None: ...
    def credited(self) -> None: ...
    def cancelled(self) -> None: ...


class Host(Protocol):
    """Where a replica's end hands in new calls."""

    def opened(
        self,
        call_id: int,
        method: str,
        encoding: int,
        body: bytes,
        timeout_ms: int,
        request_id: str,
        context: bytes,
        items_follow: bool,
        buffers: Sequence[Buffer] = (),
    ) -> Opened | None:
        """The call that was begun; None when it was answered already, rejected included."""
        ...


class ReplicaEnd(SessionEnd[Opened, SessionResponse]):
    """The end of a session in a replica.

    Each call in its ``calls`` has to be ended by one of ``reply``, ``end``, ``error`` and ``reject``, a cancelled one
    too: that frees its slot at the caller. What is said of a call that has ended goes nowhere.
    """

    __slots__ = ("_arriving", "_ends", "_errors", "_host", "_methods", "_rejected", "_replies", "caller_waits",
                 "draining", "models", "owes_batch")  # fmt: skip

    def __init__(self, host: Host) -> None:
        super().__init__(first_credit=WINDOW)
        self.draining = False
        """Say so in every batch from now on."""
        self.caller_waits = False
        """Calls wait in the caller for room, as it last said."""
        self.owes_batch = False
        """A batch is sent even if it holds no frame: the caller waits for news of the load."""
        self.models: tuple[str, ...] | None = None
        """The models that the replica holds, when the next batch has to say so."""
        self._host = host
        self._methods: list[str] = []
        self._arriving: dict[int, OpenFrame] = {}  # of which the last part is not here yet
        self._replies: list[ReplyFrame] = []
        self._ends: list[int] = []
        self._errors: list[tuple[int, ErrorDetail]] = []
        self._rejected: list[int] = []

    def receive(self, batch: SessionRequest) -> None:
        """Take in a batch from the caller: new calls go to the host, the rest to the calls."""
        self.caller_waits = batch.waits
        if batch.method_names:
            self._methods.extend(batch.method_names)
        if batch.HasField("segment_news"):
            self._receive_news(batch.segment_news)
        if batch.open_ids:
            self._receive_opens(batch)
        if batch.item_ids:
            self._receive_items(batch)
        if batch.half_close_ids:
            for call_id in batch.half_close_ids:
                if (call := self.calls.get(call_id)) is not None:
                    call.half_closed()
        if batch.credit_ids:
            for call_id, amount in zip(batch.credit_ids, batch.credit_amounts, strict=True):
                if (call := self._credited(call_id, amount)) is not None:
                    call.credited()
        if batch.cancel_ids:
            for call_id in batch.cancel_ids:
                self._cancelled(call_id)

    def _receive_opens(self, batch: SessionRequest) -> None:
        calls, names, opened = self.calls, self._methods, self._host.opened
        for frame in columns.opens(batch):
            call_id, body, method, encoding, timeout_ms, request_id, context, flags = frame
            calls[call_id] = None
            if flags & PART:
                self._arriving[call_id] = frame
                self._put_part(call_id, encoding, body)
                continue
            follow = flags & ITEMS_FOLLOW != 0
            call = opened(call_id, names[method], encoding, body, timeout_ms, request_id, context, follow)
            if call is not None and call_id in calls:
                calls[call_id] = call

    def _receive_items(self, batch: SessionRequest) -> None:
        for call_id, body, encoding, more in columns.items(batch):
            if call_id not in self.calls:
                self._drop_part(encoding, body)
            elif more:
                self._put_part(call_id, encoding, body)
            else:
                stream = self._streams.get(call_id)
                payload = (encoding, body, ()) if stream is None else stream.whole(encoding, body)
                if payload is None:
                    self._lost(call_id)
                elif call_id in self._arriving:
                    self._arrived(self._arriving.pop(call_id), *payload)
                elif (call := self.calls.get(call_id)) is not None:
                    call.item(*payload)

    def _arrived(self, frame: OpenFrame, encoding: int, body: bytes, buffers: Sequence[Buffer]) -> None:
        call_id, _, method, _, timeout_ms, request_id, context, flags = frame
        follow = flags & ITEMS_FOLLOW != 0
        name = self._methods[method]
        call = self._host.opened(call_id, name, encoding, body, timeout_ms, request_id, context, follow, buffers)
        if call is not None and call_id in self.calls:
            self.calls[call_id] = call

    def _lost(self, call_id: int) -> None:
        """A payload has come of which a segment cannot be had here. Arguments may be sent again in another way."""
        if self._arriving.pop(call_id, None) is not None:
            self.reject(call_id)
            return
        call = self.calls[call_id]
        self.error(call_id, _LOST)
        if call is not None:
            call.cancelled()

    def _cancelled(self, call_id: int) -> None:
        if self._arriving.pop(call_id, None) is not None:
            self.end(call_id)
        elif call_id in self.calls:
            stream = self._stream(call_id)
            stream.close()
            stream.arrival = None
            self._turns.pop(call_id, None)
            call, self.calls[call_id] = self.calls[call_id], None
            if call is not None:
                call.cancelled()
        elif self._forget(call_id) is not None:  # the rest of an answer that nobody wants
            self._put_end(call_id)

    def reply(self, call_id: int, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        """End a call with one result."""
        try:
            del self.calls[call_id]
        except KeyError:
            return
        stream = self._forget(call_id) if self._streams else None
        if stream is not None and stream.closed:
            self._put_end(call_id)
        elif buffers or len(body) > FRAME_BYTES:
            stream = self._streams[call_id] = Stream(call_id, 0)
            stream.give_whole(Outgoing.of(encoding, body, buffers), sent_bytes=0)
            stream.is_result = True
            self._queue(stream)
        else:
            self._replies.append((call_id, body, encoding))
            self._count(len(body))

    def send_item(self, call_id: int, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        """Give an item; it is held back while the caller has no credit for it."""
        if call_id not in self.calls:
            return
        stream = self._stream(call_id)
        if stream.closed:
            return
        if stream.items or stream.credit <= 0 or buffers or len(body) > FRAME_BYTES:
            stream.give(encoding, body, buffers)
            self._queue(stream)
        else:
            stream.credit -= item_cost(len(body))
            self._items.append((call_id, body, encoding, False))
            self._count(len(body))

    def end(self, call_id: int) -> None:
        """End a call whose items are complete; those that are held back go first."""
        if self.calls.pop(call_id, self) is self:
            return
        stream = self._streams.get(call_id)
        if stream is not None and stream.items:
            stream.closing = True
        else:
            self._forget(call_id)
            self._put_end(call_id)

    def error(self, call_id: int, detail: ErrorDetail) -> None:
        """End a call that failed; items that are held back go first. ``detail`` has to fit into a frame."""
        if self.calls.pop(call_id, self) is self:
            return
        stream = self._streams.get(call_id)
        if stream is not None and stream.items:
            stream.closing, stream.failure = True, detail
        else:
            self._forget(call_id)
            self._errors.append((call_id, detail))
            self._count(detail.ByteSize())

    def reject(self, call_id: int) -> None:
        """Give a call back that was not begun."""
        if self.calls.pop(call_id, self) is not self:
            self._forget(call_id)
            self._rejected.append(call_id)
            self._count(0)

    def _put_end(self, call_id: int) -> None:
        self._ends.append(call_id)
        self._count(0)

    def _count(self, size_bytes: int) -> None:
        self._bytes += size_bytes + FRAME_OVERHEAD
        if self._bytes >= DIRECT_BYTES:
            self._finished.append(self._batch())

    def take(self, ongoing_elsewhere: int) -> SessionResponse | None:
        """The next batch to send; None when there is nothing to say."""
        if self._finished:
            batch = self._finished.popleft()
        elif self._bytes or self._turns or self._credits or self.owes_batch or self._has_news:
            batch = self._batch()
        else:
            return None
        batch.ongoing_elsewhere = ongoing_elsewhere
        if self.draining:
            batch.draining = True
        if self.models is not None:
            batch.models.SetInParent()
            batch.models.model_ids.extend(self.models)
            self.models = None
        self.owes_batch = False
        return batch

    @property
    def _has_news(self) -> bool:
        """There is something to say that belongs to no call."""
        return self.models is not None or self._news is not None

    def _batch(self) -> SessionResponse:
        batch = SessionResponse()
        if self._turns:
            self._put_turns()
        if self._items:
            columns.put_items(batch, self._items)
            self._items = []
        if self._replies:
            columns.put_replies(batch, self._replies)
            self._replies = []
        if self._ends:
            batch.end_ids.extend(self._ends)
            self._ends = []
        if self._errors:
            batch.error_ids.extend(call_id for call_id, _ in self._errors)
            batch.errors.extend(detail for _, detail in self._errors)
            self._errors = []
        if self._rejected:
            batch.rejected_ids.extend(self._rejected)
            self._rejected = []
        if self._credits:
            batch.credit_ids.extend(self._credits.keys())
            batch.credit_amounts.extend(self._credits.values())
            self._credits = {}
        if self._news is not None:
            batch.segment_news.CopyFrom(self._news)
            self._news = None
        self._bytes = 0
        return batch

    def _put_turns(self) -> None:
        for stream, frame in self._take_turns():
            call_id = stream.call_id
            if frame is None:
                self._forget(call_id)
                if stream.failure is None:
                    self._ends.append(call_id)
                else:
                    self._errors.append((call_id, stream.failure))
                    self._bytes += stream.failure.ByteSize()
                continue
            encoding, body, more = frame
            if stream.is_result and not more:
                self._forget(call_id)
                self._replies.append((call_id, body, encoding))
            else:
                self._items.append((call_id, body, encoding, more))

    def cut(self) -> None:
        """The session is over: every call that was taken is cancelled, what it says from now on goes nowhere."""
        left, self.calls = self.calls, {}
        self._clear()
        for table in (self._arriving, self._replies, self._ends, self._errors, self._rejected):
            table.clear()
        for call in left.values():
            if call is not None:
                call.cancelled()
