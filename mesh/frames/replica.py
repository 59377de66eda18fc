"""The end of a session in a replica."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from mesh.frames.columns import ITEMS_FOLLOW, PART, PICKLE, ItemColumns, ReplyColumns
from mesh.frames.outgoing import BATCH_BYTES, FRAME_BYTES, FRAME_OVERHEAD, WINDOW, Outgoing, Sender, item_cost
from mesh.v1 import payload_pb2
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse


class Opened(Protocol):
    """What a replica's end tells a call that it has taken."""

    def item(self, encoding: int, body: bytes) -> None: ...
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
    ) -> Opened | None:
        """The call that was begun; None when it was answered already, rejected included."""
        ...


class ReplicaEnd(Sender):
    """The end of a session in a replica."""

    __slots__ = (
        "_bytes",
        "_ends",
        "_errors",
        "_host",
        "_items",
        "_methods",
        "_partial",
        "_parts_in",
        "_rejected",
        "_replies",
        "_sealed",
        "calls",
        "draining",
        "owes_batch",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.calls: dict[int, Opened | None] = {}
        """Calls without their last frame."""
        self.draining = False
        """Say so in every batch from now on."""
        self.owes_batch = False
        """A batch is sent even if it holds no frame: the caller waits for news of the load."""
        self._host = host
        self._methods: list[str] = []
        self._replies = ReplyColumns()
        self._items = ItemColumns()
        self._ends: list[int] = []
        self._errors: list[tuple[int, payload_pb2.ErrorDetail]] = []
        self._rejected: list[int] = []
        self._bytes = 0
        self._sealed: deque[SessionResponse] = deque()
        self._partial: dict[int, tuple[str, int, int, str, bytes, bool]] = {}
        self._parts_in: dict[int, list[bytes]] = {}

    def receive(self, batch: SessionRequest) -> None:
        """Take in a batch from the caller: new calls go to the host, the rest to the calls."""
        if batch.method_names:
            self._methods.extend(batch.method_names)
        if batch.open_ids:
            self._receive_opens(batch)
        if batch.item_ids:
            self._receive_items(batch)
        for call_id in batch.half_close_ids:
            if (call := self.calls.get(call_id)) is not None:
                call.half_closed()
        if batch.credit_ids:
            for call_id, amount in zip(batch.credit_ids, batch.credit_amounts, strict=True):
                self._credited(call_id, amount)
                if (call := self.calls.get(call_id)) is not None:
                    call.credited()
        for call_id in batch.cancel_ids:
            if self._partial.pop(call_id, None) is not None:
                self._parts_in.pop(call_id, None)
                self.error(call_id, payload_pb2.ErrorDetail(kind=payload_pb2.ERROR_KIND_CANCELLED))
            elif (call := self.calls.get(call_id)) is not None:
                call.cancelled()

    def _receive_opens(self, batch: SessionRequest) -> None:
        methods, encodings, timeouts = batch.open_methods, batch.open_encodings, batch.open_timeouts_ms
        contexts, flags, request_ids = batch.open_contexts, batch.open_flags, batch.open_request_ids
        names, calls, opened = self._methods, self.calls, self._host.opened
        for i, (call_id, body) in enumerate(zip(batch.open_ids, batch.open_payloads, strict=True)):
            calls[call_id] = None
            name = names[methods[i]] if methods else names[0]
            encoding = encodings[i] if encodings else PICKLE
            timeout_ms = timeouts[i] if timeouts else 0
            context = contexts[i] if contexts else b""
            flag = flags[i] if flags else 0
            if flag & PART:
                self._partial[call_id] = (name, encoding, timeout_ms, request_ids[i], context, flag & ITEMS_FOLLOW != 0)
                self._parts_in[call_id] = [body]
                continue
            call = opened(call_id, name, encoding, body, timeout_ms, request_ids[i], context, flag & ITEMS_FOLLOW != 0)
            if call is not None and call_id in calls:
                calls[call_id] = call

    def _receive_items(self, batch: SessionRequest) -> None:
        parts = batch.item_parts
        for i, (call_id, body) in enumerate(zip(batch.item_ids, batch.item_payloads, strict=True)):
            if call_id not in self.calls:
                continue
            if parts and parts[i]:
                self._parts_in.setdefault(call_id, []).append(body)
                continue
            pieces = self._parts_in.pop(call_id, None)
            if pieces is not None:
                pieces.append(body)
                body = b"".join(pieces)
            begun = self._partial.pop(call_id, None)
            if begun is not None:
                name, encoding, timeout_ms, request_id, context, follow = begun
                self.calls[call_id] = self._host.opened(
                    call_id, name, encoding, body, timeout_ms, request_id, context, follow
                )
            elif (call := self.calls.get(call_id)) is not None:
                call.item(batch.item_encodings[i] if batch.item_encodings else PICKLE, body)

    def reply(self, call_id: int, encoding: int, body: bytes) -> None:
        """End a call with one result."""
        if self.calls.pop(call_id, self) is self:
            return
        size = len(body)
        if size > FRAME_BYTES:
            self._forget(call_id)
            out = self.outgoing[call_id] = Outgoing(call_id, 0)
            out.items.append((encoding, body))
            out.started = out.is_result = True
            self._queue(out)
            return
        if self.outgoing or self._owed:
            self._forget(call_id)
        self._replies.add(call_id, encoding, body)
        self._count(size)

    def send_item(self, call_id: int, encoding: int, body: bytes) -> None:
        """Give an item; it is held back while the caller has no credit for it."""
        if call_id not in self.calls:
            return
        out = self.outgoing.get(call_id)
        if out is None:
            out = self.outgoing[call_id] = Outgoing(call_id, WINDOW)
        if out.items or out.credit <= 0 or len(body) > FRAME_BYTES:
            out.items.append((encoding, body))
            self._queue(out)
            return
        out.credit -= item_cost(len(body))
        self._items.add(call_id, encoding, body, False)
        self._count(len(body))

    def writable(self, call_id: int) -> bool:
        """An item given now would be sent without waiting; False for a call that is over."""
        return call_id in self.calls and (call_id not in self.outgoing or super().writable(call_id))

    def end(self, call_id: int) -> None:
        """End a call whose items are complete."""
        if self.calls.pop(call_id, self) is self:
            return
        out = self.outgoing.get(call_id)
        if out is not None and out.items:
            out.closing = True
            self._queue(out)
            return
        self._forget(call_id)
        self._ends.append(call_id)
        self._count(0)

    def error(self, call_id: int, detail: payload_pb2.ErrorDetail) -> None:
        """End a call that failed; items that were held back are not sent."""
        if self.calls.pop(call_id, self) is self:
            return
        self._forget(call_id)
        self._errors.append((call_id, detail))
        self._count(len(detail.message) + len(detail.traceback) + len(detail.pickled))

    def reject(self, call_id: int) -> None:
        """Give a call back that was not begun."""
        if self.calls.pop(call_id, self) is not self:
            self._rejected.append(call_id)

    def _count(self, size_bytes: int) -> None:
        self._bytes += size_bytes + FRAME_OVERHEAD
        if self._bytes >= BATCH_BYTES:
            self._sealed.append(self._batch())

    def take(self, ongoing_elsewhere: int) -> SessionResponse | None:
        """The next batch to send; None when there is nothing to say."""
        if self._sealed:
            batch = self._sealed.popleft()
        elif self._bytes or self._turns or self._rejected or self._credits or self.owes_batch:
            batch = self._batch()
        else:
            return None
        batch.ongoing_elsewhere = ongoing_elsewhere
        if self.draining:
            batch.draining = True
        self.owes_batch = False
        return batch

    def _batch(self) -> SessionResponse:
        batch = SessionResponse()
        if self._items.ids or self._turns:
            self._add_items(batch)
        replies = self._replies
        if replies.ids:
            batch.reply_ids.extend(replies.ids)
            batch.reply_payloads.extend(replies.bodies)
            if replies.any_encoding:
                batch.reply_encodings.extend(replies.encodings)  # type: ignore[arg-type]
            self._replies = ReplyColumns()
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
        self._bytes = 0
        return batch

    def _add_items(self, batch: SessionResponse) -> None:
        items = self._items
        for out, encoding, body, more in self._parts(BATCH_BYTES - self._bytes):
            if not encoding:
                self._ends.append(out.call_id)
                self._forget(out.call_id)
            elif out.is_result and not more:
                self._replies.add(out.call_id, encoding, body)
                self._forget(out.call_id)
            else:
                items.add(out.call_id, encoding, body, more)
        batch.item_ids.extend(items.ids)
        batch.item_payloads.extend(items.bodies)
        if items.any_encoding:
            batch.item_encodings.extend(items.encodings)  # type: ignore[arg-type]
        if items.any_part:
            batch.item_parts.extend(items.parts)
        self._items = ItemColumns()

    def cut(self) -> None:
        """The session is over: every call that was taken is cancelled, what it says from now on goes nowhere."""
        left, self.calls = self.calls, {}
        for table in (self.outgoing, self._owed, self._credits, self._partial, self._parts_in):
            table.clear()
        self._turns.clear()
        self._sealed.clear()
        for call in left.values():
            if call is not None:
                call.cancelled()
