"""The end of a session in the process that calls."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Protocol

from mesh.frames import columns
from mesh.frames.columns import ITEMS_FOLLOW, PART, OpenFrame
from mesh.frames.end import SessionEnd
from mesh.frames.limits import DIRECT_BYTES, FRAME_BYTES, FRAME_OVERHEAD
from mesh.frames.stream import Outgoing, Stream
from mesh.segments.buffer import Buffer
from mesh.v1 import payload_pb2
from mesh.v1.payload_pb2 import ERROR_KIND_USER
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse


class Answered(Protocol):
    """What a caller's end tells a call, which must not raise.

    After ``replied``, ``ended``, ``failed``, ``rejected`` or ``cut`` comes nothing, and after a cancellation neither.
    A rejected call was not begun and may go elsewhere; one that was cut may have run.
    """

    @property
    def model_id(self) -> str:
        """The model that it is for; empty when it is for none."""
        ...

    def replied(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None: ...
    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None: ...
    def ended(self) -> None: ...
    def failed(self, detail: payload_pb2.ErrorDetail) -> None: ...
    def rejected(self) -> None: ...
    def credited(self) -> None: ...
    def cut(self) -> None: ...


class CallerEnd(SessionEnd[Answered, SessionRequest]):
    """The end of a session in the process that calls. Its ``calls`` are the slots that it holds in the replica."""

    __slots__ = ("_cancels", "_last_id", "_methods", "_new_methods", "_opens", "_owes_waits", "_told_waits",
                 "_waits", "answers_well", "draining", "failed_in_a_row", "models", "ongoing_elsewhere",
                 "service_time_us")  # fmt: skip

    def __init__(self) -> None:
        super().__init__(first_credit=0)
        self.ongoing_elsewhere = 0
        """Calls that the replica works on for others, and room that it has promised to them, as it last said."""
        self.service_time_us = 0
        """How long its user code lately took for a call, as it last said; 0 = it does not know yet."""
        self.failed_in_a_row = 0
        """Calls that raised since one ended, or yielded, otherwise.

        Those for a model are left out: they all go to one replica, and it may be the model's fault, not the replica's.
        """
        self.answers_well = False
        """The last batch brought a result or an item."""
        self._waits = False  # calls, for room in the replica
        self._told_waits = False  # the same, as the last batch said
        self._owes_waits = False  # a batch is to be sent for it even if it holds no frame
        self.draining = False
        """The replica has said that it takes nothing more."""
        self.models: frozenset[str] = frozenset()
        """The models that the replica holds, as it last said."""
        self._last_id = 0
        self._methods: dict[str, int] = {}
        self._new_methods: list[str] = []
        self._opens: list[OpenFrame] = []
        self._cancels: list[int] = []

    def say_waits(self, waits: bool) -> bool:
        """Calls wait for room, or no longer; whether the replica has to be told by a batch of its own.

        That they wait is told at once. That they no longer do goes with the next batch or :meth:`take_back_waits`:
        where the queue becomes empty with every call and is filled again, nothing has to be told most of the time.
        """
        self._waits = waits
        self._owes_waits = waits and not self._told_waits
        return self._owes_waits

    def take_back_waits(self) -> bool:
        """A batch has come, perhaps with a promise that nobody needs; whether the replica has to be told so."""
        self._owes_waits = self._waits is not self._told_waits
        return self._owes_waits

    def open(
        self,
        call: Answered,
        method: str,
        encoding: int,
        body: bytes,
        timeout_ms: int,
        request_id: str,
        context: bytes = b"",
        items_follow: bool = False,
        buffers: Sequence[Buffer] = (),
    ) -> int:
        """Begin a call; its id. Items may be given at once, and are sent as the replica gives credit."""
        number = self._methods.get(method)
        if number is None:
            number = self._methods[method] = len(self._methods)
            self._new_methods.append(method)
        self._last_id = call_id = self._last_id + 1
        self.calls[call_id] = call
        flags = 0
        if items_follow or buffers or len(body) > FRAME_BYTES:
            flags, encoding, body = self._open_stream(call_id, encoding, body, items_follow, buffers)
        self._opens.append((call_id, body, number, encoding, timeout_ms, request_id, context, flags))
        self._bytes += len(body) + len(context) + FRAME_OVERHEAD
        if self._bytes >= DIRECT_BYTES:
            self._finished.append(self._batch())
        return call_id

    def _open_stream(
        self, call_id: int, encoding: int, body: bytes, items_follow: bool, buffers: Sequence[Buffer]
    ) -> tuple[int, int, bytes]:
        """For a call that is more than one frame: flags and encoding of its open frame, and what goes with it."""
        stream = self._streams[call_id] = Stream(call_id, self._first_credit)
        flags = 0
        if items_follow:
            flags = ITEMS_FOLLOW
        else:
            stream.closed = True
        if buffers or len(body) > FRAME_BYTES:
            flags |= PART
            arguments = Outgoing.of(encoding, body, buffers)
            encoding, body = arguments.encoding, arguments.body
            stream.give_whole(arguments, sent_bytes=FRAME_BYTES)
            self._queue(stream)
        return flags, encoding, body[:FRAME_BYTES]

    def send_item(self, call_id: int, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        """Give an item; it is held back while the replica has no credit for it."""
        stream = self._streams.get(call_id)
        if stream is not None and not stream.closed and not stream.closing:
            stream.give(encoding, body, buffers)
            self._queue(stream)

    def half_close(self, call_id: int) -> None:
        """No further item comes."""
        stream = self._streams.get(call_id)
        if stream is not None and not stream.closed:
            stream.closing = True
            self._queue(stream)

    def cancel(self, call_id: int) -> None:
        """Nobody waits any more. The call keeps its slot until the replica has ended it, unless it was never sent."""
        if self.calls.get(call_id) is None:
            return
        self._forget(call_id)
        i = bisect_left(self._opens, (call_id,))
        if i < len(self._opens) and self._opens[i][0] == call_id:
            del self._opens[i], self.calls[call_id]
        else:
            self.calls[call_id] = None
            self._cancels.append(call_id)

    def take(self) -> SessionRequest | None:
        """The next batch to send; None when there is nothing to say."""
        if self._finished:
            batch = self._finished.popleft()
        elif self._opens or self._turns or self._credits or self._cancels or self._news is not None:
            batch = self._batch()
        elif self._owes_waits:
            batch = SessionRequest()
        else:
            return None
        self._owes_waits, self._told_waits = False, self._waits
        if self._waits:
            batch.waits = True
        return batch

    def _batch(self) -> SessionRequest:
        batch = SessionRequest()
        if self._new_methods:
            batch.method_names.extend(self._new_methods)
            self._new_methods = []
        if self._opens:
            columns.put_opens(batch, self._opens)
            self._opens = []
        if self._turns:
            self._put_items(batch)
        if self._credits:
            batch.credit_ids.extend(self._credits.keys())
            batch.credit_amounts.extend(self._credits.values())
            self._credits = {}
        if self._cancels:
            batch.cancel_ids.extend(self._cancels)
            self._cancels = []
        if self._news is not None:
            batch.segment_news.CopyFrom(self._news)
            self._news = None
        self._bytes = 0
        return batch

    def _put_items(self, batch: SessionRequest) -> None:
        for stream, frame in self._take_turns():
            if frame is None:
                batch.half_close_ids.append(stream.call_id)
            else:
                encoding, body, more = frame
                self._items.append((stream.call_id, body, encoding, more))
        if self._items:
            columns.put_items(batch, self._items)
            self._items = []

    def receive(self, batch: SessionResponse) -> None:
        """Take in a batch from the replica and tell the calls."""
        self.ongoing_elsewhere = batch.ongoing_elsewhere
        self.service_time_us = batch.service_time_us
        if batch.draining:
            self.draining = True
        if batch.HasField("models"):
            self.models = frozenset(batch.models.model_ids)
        if batch.HasField("segment_news"):
            self._receive_news(batch.segment_news)
        self.answers_well = False
        if batch.item_ids:
            self.answers_well = True
            self.failed_in_a_row = 0
            self._receive_items(batch)
        if batch.reply_ids:
            self.answers_well = True
            self.failed_in_a_row = 0
            self._receive_replies(batch)
        if batch.end_ids:
            for call_id in batch.end_ids:
                if (call := self._ended(call_id)) is not None:
                    call.ended()
        if batch.error_ids:
            for call_id, detail in zip(batch.error_ids, batch.errors, strict=True):
                if (call := self._ended(call_id)) is not None:
                    if detail.kind == ERROR_KIND_USER and not call.model_id:
                        self.failed_in_a_row += 1
                    call.failed(detail)
        if batch.rejected_ids:
            for call_id in batch.rejected_ids:
                if (call := self._ended(call_id)) is not None:
                    call.rejected()
        if batch.credit_ids:
            for call_id, amount in zip(batch.credit_ids, batch.credit_amounts, strict=True):
                if (call := self._credited(call_id, amount)) is not None:
                    call.credited()

    def _receive_items(self, batch: SessionResponse) -> None:
        for call_id, body, encoding, more in columns.items(batch):
            call = self.calls.get(call_id)
            if call is None:
                self._drop_part(encoding, body)
            elif more:
                self._put_part(call_id, encoding, body)
            elif (stream := self._streams.get(call_id)) is None:
                call.item(encoding, body)
            elif (payload := stream.whole(encoding, body)) is not None:
                call.item(*payload)
            else:
                self.cancel(call_id)
                call.cut()

    def _receive_replies(self, batch: SessionResponse) -> None:
        calls, streams = self.calls, self._streams
        for call_id, body, encoding in columns.replies(batch):
            stream = self._forget(call_id) if streams else None
            call = calls.pop(call_id, None)
            if call is None:
                continue
            if stream is None:
                call.replied(encoding, body)
            elif (payload := stream.whole(encoding, body)) is not None:
                call.replied(*payload)
            else:
                call.cut()

    def _ended(self, call_id: int) -> Answered | None:
        self._forget(call_id)
        return self.calls.pop(call_id, None)

    def has_sent(self, call_id: int) -> bool:
        """The replica may have begun the call: it was in a batch that was taken."""
        unsent = (batch.open_ids[0] for batch in self._finished if batch.open_ids)  # in the order of their ids
        return call_id < next(unsent, self._opens[0][0] if self._opens else self._last_id + 1)

    def cut(self) -> None:
        """The session is over: every call that waits is told so, once. Nothing may be opened afterwards."""
        unsent = {frame[0] for frame in self._opens}.union(*(batch.open_ids for batch in self._finished))
        left, self.calls = self.calls, {}
        self._clear()
        for table in (self._opens, self._cancels):
            table.clear()
        for call_id, call in left.items():
            if call is None:
                continue
            if call_id in unsent:
                call.rejected()
            else:
                call.cut()
