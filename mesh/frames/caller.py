"""The end of a session in the process that calls."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from mesh.frames.columns import ITEMS_FOLLOW, PART, PICKLE, OpenColumns
from mesh.frames.outgoing import BATCH_BYTES, FRAME_BYTES, FRAME_OVERHEAD, Outgoing, Sender
from mesh.v1 import payload_pb2
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse


class Answered(Protocol):
    """What a caller's end tells a call. After ``replied``, ``ended``, ``failed``, ``rejected`` or ``cut`` comes nothing."""

    def replied(self, encoding: int, body: bytes) -> None: ...
    def item(self, encoding: int, body: bytes) -> None: ...
    def ended(self) -> None: ...
    def failed(self, detail: payload_pb2.ErrorDetail) -> None: ...
    def rejected(self) -> None: ...
    def credited(self) -> None: ...
    def cut(self) -> None: ...


class _Gone:
    """What a cancelled call becomes until its last frame is there: nobody listens, but its slot still counts."""

    def replied(self, encoding: int, body: bytes) -> None: ...
    def item(self, encoding: int, body: bytes) -> None: ...
    def ended(self) -> None: ...
    def failed(self, detail: payload_pb2.ErrorDetail) -> None: ...
    def rejected(self) -> None: ...
    def credited(self) -> None: ...
    def cut(self) -> None: ...


_GONE = _Gone()


class CallerEnd(Sender):
    """The end of a session in the process that calls."""

    __slots__ = ("_any_option", "_bytes", "_cancels", "_half_closes", "_last_id", "_methods", "_new_methods", "_opens",
                 "_parts_in", "_sealed", "calls", "draining", "ongoing_elsewhere")  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[int, Answered] = {}
        """Calls without their last frame, the cancelled ones included."""
        self.ongoing_elsewhere = 0
        """Calls that the replica works on for others, as it last said."""
        self.draining = False
        self._last_id = 0
        self._methods: dict[str, int] = {}
        self._new_methods: list[str] = []
        self._opens = OpenColumns()
        self._bytes = 0
        self._half_closes: list[int] = []
        self._cancels: list[int] = []
        self._sealed: deque[SessionRequest] = deque()
        self._parts_in: dict[int, list[bytes]] = {}

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
    ) -> int:
        """Begin a call; its id. Items may be sent as soon as the replica has given credit."""
        number = self._methods.get(method)
        if number is None:
            number = self._methods[method] = len(self._methods)
            self._new_methods.append(method)
        self._last_id = call_id = self._last_id + 1
        self.calls[call_id] = call
        flags = 0
        size = len(body)
        if items_follow or size > FRAME_BYTES:
            out = self.outgoing[call_id] = Outgoing(call_id, 0)
            if items_follow:
                flags = ITEMS_FOLLOW
            if size > FRAME_BYTES:
                flags |= PART
                out.items.append((encoding, body))
                out.offset, out.started = FRAME_BYTES, True
                body = body[:FRAME_BYTES]
                size = FRAME_BYTES
                self._queue(out)
        self._opens.add(call_id, number, encoding, body, timeout_ms, request_id, context, flags)
        self._bytes += size + FRAME_OVERHEAD
        if self._bytes >= BATCH_BYTES:
            self._seal()
        return call_id

    def send_item(self, call_id: int, encoding: int, body: bytes) -> None:
        """Give an item; it is held back while the replica has no credit for it."""
        out = self.outgoing.get(call_id)
        if out is not None:
            out.items.append((encoding, body))
            self._queue(out)

    def half_close(self, call_id: int) -> None:
        """No further item comes."""
        out = self.outgoing.get(call_id)
        if out is not None:
            out.closing = True
            self._queue(out)

    def cancel(self, call_id: int) -> None:
        """Nobody waits any more. The call counts until the replica has sent its last frame."""
        if call_id in self.calls:
            self.calls[call_id] = _GONE
            self._forget(call_id)
            self._parts_in.pop(call_id, None)
            self._cancels.append(call_id)

    def take(self) -> SessionRequest | None:
        """The next batch to send; None when there is nothing to say."""
        if self._sealed:
            return self._sealed.popleft()
        if not (self._opens.ids or self._turns or self._cancels or self._half_closes or self._credits):
            return None
        batch = self._open_batch()
        if self._turns:
            self._add_parts(batch)
        if self._half_closes:
            batch.half_close_ids.extend(self._half_closes)
            self._half_closes = []
        if self._credits:
            batch.credit_ids.extend(self._credits.keys())
            batch.credit_amounts.extend(self._credits.values())
            self._credits = {}
        if self._cancels:
            batch.cancel_ids.extend(self._cancels)
            self._cancels = []
        return batch

    def _open_batch(self) -> SessionRequest:
        batch = self._opens.batch()
        if self._new_methods:
            batch.method_names.extend(self._new_methods)
            self._new_methods = []
        self._opens = OpenColumns()
        self._bytes = 0
        return batch

    def _seal(self) -> None:
        self._sealed.append(self._open_batch())

    def _add_parts(self, batch: SessionRequest) -> None:
        for out, encoding, body, more in self._parts(BATCH_BYTES - self._bytes):
            if encoding:
                batch.item_ids.append(out.call_id)
                batch.item_payloads.append(body)
                batch.item_encodings.append(encoding)  # type: ignore[arg-type]
                batch.item_parts.append(more)
            else:
                self._half_closes.append(out.call_id)
                self._forget(out.call_id)

    def receive(self, batch: SessionResponse) -> None:
        """Take in a batch from the replica and tell the calls."""
        self.ongoing_elsewhere = batch.ongoing_elsewhere
        calls = self.calls
        if batch.draining:
            self.draining = True
        if batch.item_ids:
            self._receive_items(batch)
        if batch.reply_ids:
            encodings = batch.reply_encodings
            if encodings or self._parts_in:
                self._receive_replies(batch)
            else:
                for call_id, body in zip(batch.reply_ids, batch.reply_payloads, strict=True):
                    call = calls.pop(call_id, None)
                    if call is not None:
                        call.replied(PICKLE, body)
        if batch.end_ids:
            for call_id in batch.end_ids:
                if (call := self._last(call_id)) is not None:
                    call.ended()
        if batch.error_ids:
            for call_id, detail in zip(batch.error_ids, batch.errors, strict=True):
                if (call := self._last(call_id)) is not None:
                    call.failed(detail)
        if batch.rejected_ids:
            for call_id in batch.rejected_ids:
                if (call := self._last(call_id)) is not None:
                    call.rejected()
        if batch.credit_ids:
            for call_id, amount in zip(batch.credit_ids, batch.credit_amounts, strict=True):
                self._credited(call_id, amount)
                if call_id in calls:
                    calls[call_id].credited()

    def _receive_items(self, batch: SessionResponse) -> None:
        parts = batch.item_parts
        for i, (call_id, body) in enumerate(zip(batch.item_ids, batch.item_payloads, strict=True)):
            call = self.calls.get(call_id)
            if call is None or call is _GONE:
                continue
            if parts and parts[i]:
                self._parts_in.setdefault(call_id, []).append(body)
                continue
            encoding = batch.item_encodings[i] if batch.item_encodings else PICKLE
            call.item(encoding, self._whole(call_id, body))

    def _receive_replies(self, batch: SessionResponse) -> None:
        for i, (call_id, body) in enumerate(zip(batch.reply_ids, batch.reply_payloads, strict=True)):
            whole = self._whole(call_id, body)
            if (call := self._last(call_id)) is not None:
                call.replied(batch.reply_encodings[i] if batch.reply_encodings else PICKLE, whole)

    def _whole(self, call_id: int, last: bytes) -> bytes:
        parts = self._parts_in.pop(call_id, None)
        if parts is None:
            return last
        parts.append(last)
        return b"".join(parts)

    def _last(self, call_id: int) -> Answered | None:
        self._forget(call_id)
        self._parts_in.pop(call_id, None)
        return self.calls.pop(call_id, None)

    def cut(self) -> None:
        """The session is over: every call that waits is told so, once."""
        left, self.calls = self.calls, {}
        for table in (self.outgoing, self._owed, self._credits, self._parts_in):
            table.clear()
        self._turns.clear()
        self._sealed.clear()
        self._opens, self._bytes = OpenColumns(), 0
        self._cancels, self._half_closes = [], []
        for call in left.values():
            call.cut()
