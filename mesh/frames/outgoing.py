"""What one side of a session still has to send: payloads in parts, items within their credit, calls in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

FRAME_BYTES = 256 * 1024
"""The most that one frame carries; a larger payload goes in parts."""
BATCH_BYTES = 1024 * 1024
"""A batch is closed when it holds this much."""
WINDOW = 256 * 1024
"""Credit for the items of a call: what a replica may send ahead, and what a caller may after the first credit frame."""
ITEM_OVERHEAD = 1024
FRAME_OVERHEAD = 64
"""What a frame counts in a batch beside its payload, so that many tiny frames also fill a batch."""


def item_cost(size_bytes: int) -> int:
    """The credit that an item costs: its size and a little, so that tiny items are bounded in number too."""
    return size_bytes + ITEM_OVERHEAD


class Outgoing:
    """What one call still has to send: payloads in order, the first of them perhaps in part, and how it closes."""

    __slots__ = ("call_id", "closing", "credit", "is_result", "items", "offset", "queued", "started")

    def __init__(self, call_id: int, credit: int) -> None:
        self.call_id = call_id
        self.items: deque[tuple[int, bytes]] = deque()
        self.offset = 0
        self.started = False  # the first payload has been charged, or needs no credit
        self.credit = credit
        self.closing = False  # when the items are sent, the stream closes
        self.is_result = False  # the one payload is the result: its last part is a reply frame
        self.queued = False  # in the end's turn order

    @property
    def ready(self) -> bool:
        """Something can be sent now."""
        if self.items:
            return self.started or self.credit > 0
        return self.closing

    def next_part(self) -> tuple[int, bytes, bool]:
        """Encoding, bytes and whether more of the same payload follows."""
        encoding, body = self.items[0]
        if not self.started:
            self.credit -= item_cost(len(body))
            self.started = True
        begin, self.offset = self.offset, self.offset + FRAME_BYTES
        if self.offset < len(body):
            return encoding, body[begin : self.offset], True
        self.items.popleft()
        self.offset, self.started = 0, False
        return encoding, body[begin:] if begin else body, False


class Sender:
    """The part that both ends share: calls with something left to send, in turn, and credit for consumed items."""

    __slots__ = ("_credits", "_owed", "_turns", "outgoing")

    def __init__(self) -> None:
        self.outgoing: dict[int, Outgoing] = {}
        self._turns: deque[Outgoing] = deque()
        self._owed: dict[int, int] = {}  # consumed, not yet worth a frame
        self._credits: dict[int, int] = {}  # to be sent

    def writable(self, call_id: int) -> bool:
        """An item given now would be sent without waiting; False also for a call that is over."""
        out = self.outgoing.get(call_id)
        return out is not None and not out.items and out.credit > 0

    def consumed(self, call_id: int, size_bytes: int) -> None:
        """An item of that size was taken by whoever asked for it: its credit goes back, in frames of half a window."""
        owed = self._owed.get(call_id, 0) + item_cost(size_bytes)
        if owed >= WINDOW // 2:
            self.give_credit(call_id, owed)
            owed = 0
        self._owed[call_id] = owed

    def give_credit(self, call_id: int, amount: int) -> None:
        self._credits[call_id] = self._credits.get(call_id, 0) + amount

    def _queue(self, out: Outgoing) -> None:
        if not out.queued and out.ready:
            out.queued = True
            self._turns.append(out)

    def _credited(self, call_id: int, amount: int) -> None:
        out = self.outgoing.get(call_id)
        if out is not None:
            out.credit += amount
            self._queue(out)

    def _forget(self, call_id: int) -> None:
        out = self.outgoing.pop(call_id, None)
        if out is not None:
            out.items.clear()
            out.closing = False
        self._owed.pop(call_id, None)
        self._credits.pop(call_id, None)

    def _parts(self, room: int) -> Iterator[tuple[Outgoing, int, bytes, bool]]:
        """Parts in turn until ``room`` bytes are used, at least one; a call that closes comes once more without bytes."""
        while self._turns and room > 0:
            out = self._turns.popleft()
            out.queued = False
            if not out.ready:
                continue
            if out.items:
                encoding, body, more = out.next_part()
                room -= len(body) + FRAME_OVERHEAD
                yield out, encoding, body, more
            else:
                yield out, 0, b"", False
            self._queue(out)
