"""What a call has beside its open and its reply: items, or a payload in parts, either way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mesh.frames.arrival import BUFFERED, PIECE, SEGMENT, Arrival
from mesh.frames.limits import FRAME_BYTES, item_cost
from mesh.segments.buffer import Buffer
from mesh.v1.payload_pb2 import BufferedHead, ErrorDetail

Offer = Callable[[Buffer], bytes | None]
"""Makes a buffer known to the other end: the serialized reference to its segment, or None when it has to go in line."""


class Outgoing(NamedTuple):
    """A payload to be sent: what goes into its frames, and the buffers that stand beside it."""

    encoding: int
    body: bytes
    buffers: Sequence[Buffer]
    cost: int

    @classmethod
    def of(cls, encoding: int, body: bytes, buffers: Sequence[Buffer]) -> Outgoing:
        if not buffers:
            return cls(encoding, body, (), item_cost(len(body)))
        sizes = [buffer.size_bytes for buffer in buffers]
        head = BufferedHead(encoding=encoding, body=body, buffer_sizes=sizes)  # type: ignore[arg-type]
        return cls(BUFFERED, head.SerializeToString(), buffers, item_cost(len(body) + sum(sizes)))


class Stream:
    """One call's payloads on their way out and the one on its way in. Most calls never need it."""

    __slots__ = ("arrival", "call_id", "closed", "closing", "credit", "failure", "is_result", "items", "offset", "owed",
                 "sent_buffers", "started", "unpaid")  # fmt: skip

    def __init__(self, call_id: int, credit: int) -> None:
        self.call_id = call_id
        self.items: deque[Outgoing] = deque()  # to be sent
        self.started = False  # the first of them has been paid for, or needs no credit
        self.sent_buffers = -1  # buffers of it that were sent; -1 before its body was
        self.offset = 0  # bytes that were sent of its body, or of the next buffer
        self.credit = credit
        self.unpaid = 0  # what the items will cost that are not paid for
        self.is_result = False  # the only one is the call's result: its last part is a reply frame
        self.closing = False  # a closing frame is due behind the items
        self.failure: ErrorDetail | None = None  # the closing frame says this
        self.closed = False  # nothing more is sent
        self.arrival: Arrival | None = None  # what has arrived of a payload in parts
        self.owed = 0  # credit for consumed items, not yet worth a frame

    def give(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        """Send an item when its turn has come and there is credit."""
        item = Outgoing.of(encoding, body, buffers)
        self.items.append(item)
        self.unpaid += item.cost

    def give_whole(self, item: Outgoing, sent_bytes: int) -> None:
        """Send an argument or a result, which needs no credit, from ``sent_bytes`` of its body on."""
        self.items.append(item)
        self.started, self.offset = True, sent_bytes
        if item.buffers and sent_bytes >= len(item.body):
            self.sent_buffers, self.offset = 0, 0

    @property
    def writable(self) -> bool:
        """There will be credit left when all items that were given are sent."""
        return self.credit > self.unpaid and not (self.closing or self.closed)

    @property
    def ready(self) -> bool:
        """Something can be sent now."""
        if self.items:
            return self.started or self.credit > 0
        return self.closing

    @property
    def has_buffers(self) -> bool:
        """The next payload has buffers beside its body."""
        return bool(self.items and self.items[0].buffers)

    def next_frame(self, offer: Offer) -> tuple[int, bytes, bool]:
        """Encoding, bytes, and whether more of the same payload follows."""
        item = self.items[0]
        if not self.started:
            self.started = True
            self.credit -= item.cost
            self.unpaid -= item.cost
        if item.buffers:
            return self._next_of_buffered(item, offer)
        begin, self.offset = self.offset, self.offset + FRAME_BYTES
        if self.offset < len(item.body):
            return item.encoding, item.body[begin : self.offset], True
        self._end_item()
        return item.encoding, item.body[begin:] if begin else item.body, False

    def _next_of_buffered(self, item: Outgoing, offer: Offer) -> tuple[int, bytes, bool]:
        """First the body, then each buffer as a reference or in pieces, then an empty frame."""
        if self.sent_buffers == len(item.buffers):
            self._end_item()
            return BUFFERED, b"", False
        begin, end = self.offset, self.offset + FRAME_BYTES
        if self.sent_buffers < 0:
            encoding, size_bytes, frame = BUFFERED, len(item.body), item.body[begin:end]
        else:
            buffer = item.buffers[self.sent_buffers]
            if not begin and (reference := offer(buffer)) is not None:
                self.sent_buffers += 1
                return SEGMENT, reference, True
            encoding, size_bytes, frame = PIECE, buffer.size_bytes, buffer.read(begin, end)
        self.offset = end
        if end >= size_bytes:
            self.sent_buffers, self.offset = self.sent_buffers + 1, 0
        return encoding, frame, True

    def _end_item(self) -> None:
        self.items.popleft()
        self.started, self.sent_buffers, self.offset = False, -1, 0

    def close(self) -> None:
        """Send nothing more, what waits included."""
        self.items.clear()
        self.started, self.offset, self.unpaid = False, 0, 0
        self.closing, self.closed = False, True

    def arriving(self, encoding: int) -> Arrival:
        """What has come of the payload to which a part of that encoding belongs."""
        if self.arrival is None:
            self.arrival = Arrival(encoding)
        return self.arrival

    def whole(self, encoding: int, last: bytes) -> tuple[int, bytes, Sequence[Buffer]] | None:
        """Encoding, body and buffers of the payload that ``last`` completes; None when a part of it was lost."""
        arrival, self.arrival = self.arrival, None
        if arrival is None:
            return encoding, last, ()
        return None if arrival.is_lost else arrival.whole(encoding, last)
