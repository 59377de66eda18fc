"""What a call has beside its open and its reply: items, or a payload in parts, either way."""

from __future__ import annotations

from collections import deque

from mesh.frames.limits import FRAME_BYTES, item_cost
from mesh.v1.payload_pb2 import ErrorDetail


class Stream:
    """One call's payloads on their way out and the one on its way in. Most calls never need it."""

    __slots__ = ("call_id", "closed", "closing", "credit", "failure", "is_result", "items", "offset", "owed", "parts",
                 "started", "unpaid")  # fmt: skip

    def __init__(self, call_id: int, credit: int) -> None:
        self.call_id = call_id
        self.items: deque[tuple[int, bytes]] = deque()  # to be sent, as (encoding, payload)
        self.started = False  # the first of them has been paid for, or needs no credit
        self.offset = 0  # bytes of it that were sent
        self.credit = credit
        self.unpaid = 0  # what the items will cost that are not paid for
        self.is_result = False  # the only one is the call's result: its last part is a reply frame
        self.closing = False  # a closing frame is due behind the items
        self.failure: ErrorDetail | None = None  # the closing frame says this
        self.closed = False  # nothing more is sent
        self.parts: list[bytes] = []  # what has arrived of a payload
        self.owed = 0  # credit for consumed items, not yet worth a frame

    def give(self, encoding: int, payload: bytes) -> None:
        """Send an item when its turn has come and there is credit."""
        self.items.append((encoding, payload))
        self.unpaid += item_cost(len(payload))

    def give_whole(self, encoding: int, payload: bytes, sent_bytes: int) -> None:
        """Send an argument or a result, which needs no credit, from ``sent_bytes`` on."""
        self.items.append((encoding, payload))
        self.started, self.offset = True, sent_bytes

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

    def next_frame(self) -> tuple[int, bytes, bool]:
        """Encoding, bytes, and whether more of the same payload follows."""
        encoding, payload = self.items[0]
        if not self.started:
            self.started = True
            cost = item_cost(len(payload))
            self.credit -= cost
            self.unpaid -= cost
        begin, self.offset = self.offset, self.offset + FRAME_BYTES
        if self.offset < len(payload):
            return encoding, payload[begin : self.offset], True
        self.items.popleft()
        self.started, self.offset = False, 0
        return encoding, payload[begin:] if begin else payload, False

    def close(self) -> None:
        """Send nothing more, what waits included."""
        self.items.clear()
        self.started, self.offset, self.unpaid = False, 0, 0
        self.closing, self.closed = False, True

    def whole(self, last: bytes) -> bytes:
        """The payload that ``last`` completes."""
        if not self.parts:
            return last
        parts, self.parts = self.parts, []
        parts.append(last)
        return b"".join(parts)
