"""What both ends of a session have in common: a table of calls, streams that take turns, credit, finished batches."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from mesh.frames.columns import ItemFrame
from mesh.frames.limits import BATCH_BYTES, FRAME_BYTES, FRAME_OVERHEAD, ITEM_OVERHEAD, WINDOW
from mesh.frames.stream import Stream
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse

Call = TypeVar("Call")
Batch = TypeVar("Batch", SessionRequest, SessionResponse)


class SessionEnd(Generic[Call, Batch]):
    """One end of a session. ``first_credit`` is what a call may send before the other end has given credit."""

    __slots__ = ("_bytes", "_credits", "_finished", "_first_credit", "_items", "_streams", "_turns", "calls")

    def __init__(self, first_credit: int) -> None:
        self.calls: dict[int, Call | None] = {}
        """Calls that have not ended, cancelled ones included; None = nobody listens."""
        self._first_credit = first_credit
        self._streams: dict[int, Stream] = {}
        self._turns: OrderedDict[int, Stream] = OrderedDict()  # those with something to send, next one first
        self._credits: dict[int, int] = {}  # to be given
        self._items: list[ItemFrame] = []
        self._bytes = 0  # in the batch that is being filled
        self._finished: deque[Batch] = deque()

    def writable(self, call_id: int) -> bool:
        """There is credit for an item; when there is not, ``credited`` tells the call that more has come.

        False also for a call that has ended or was cancelled.
        """
        stream = self._streams.get(call_id)
        if stream is None:
            return self._first_credit > 0 and call_id in self.calls
        return stream.writable

    def room(self, call_id: int) -> int:
        """The credit that is left for items which are given from now on, 0 or less when there is none."""
        stream = self._streams.get(call_id)
        if stream is None:
            return self._first_credit if call_id in self.calls else 0
        return stream.credit - stream.unpaid if stream.writable else 0

    def consumed(self, call_id: int, size_bytes: int, items: int = 1) -> bool:
        """Items of that size together were taken by whoever asked for them; whether credit is on its way for it.

        Credit goes back in frames of half a window.
        """
        if call_id not in self.calls:
            return False
        stream = self._stream(call_id)
        stream.owed += size_bytes + items * ITEM_OVERHEAD
        if stream.owed < WINDOW // 2:
            return False
        self.give_credit(call_id, stream.owed)
        stream.owed = 0
        return True

    def give_credit(self, call_id: int, amount: int) -> None:
        """Let the other end send items: ``amount`` in the units of :func:`item_cost`, at first a window.

        With less than half a window the call would stall: :meth:`consumed` gives back in frames of that size.
        """
        if call_id in self.calls:
            self._credits[call_id] = self._credits.get(call_id, 0) + amount

    def _stream(self, call_id: int) -> Stream:
        stream = self._streams.get(call_id)
        if stream is None:
            stream = self._streams[call_id] = Stream(call_id, self._first_credit)
            stream.closed = self._first_credit == 0  # a caller says in its open frame that it will send items
        return stream

    def _forget(self, call_id: int) -> Stream | None:
        """The stream that the call had, now out of every table."""
        stream = self._streams.pop(call_id, None)
        if stream is not None:
            self._turns.pop(call_id, None)
            self._credits.pop(call_id, None)
        return stream

    def _queue(self, stream: Stream) -> None:
        if stream.ready:
            self._turns[stream.call_id] = stream

    def _credited(self, call_id: int, amount: int) -> Call | None:
        """Take in a credit frame; the call that it is for."""
        stream = self._streams.get(call_id)
        if stream is not None:
            stream.credit += amount
            self._queue(stream)
        return self.calls.get(call_id)

    def _take_turns(self) -> Iterator[tuple[Stream, tuple[int, bytes, bool] | None]]:
        """Frames of the streams in turn until the batch is full, at least one; None is a closing frame.

        A turn is worth one full frame, so that a stream of tiny items gets as much as one of large ones.
        """
        full = False
        while self._turns and not full:
            _, stream = self._turns.popitem(last=False)
            turn_bytes = 0
            while stream.ready and turn_bytes < FRAME_BYTES and not full:
                if stream.items:
                    frame = stream.next_frame()
                    size = len(frame[1]) + FRAME_OVERHEAD
                else:
                    stream.close()
                    frame, size = None, FRAME_OVERHEAD
                turn_bytes += size
                self._bytes += size
                yield stream, frame
                full = self._bytes >= BATCH_BYTES
            self._queue(stream)

    def _clear(self) -> None:
        """Nothing is sent any more; the calls are left to the one who asks."""
        for table in (self._streams, self._turns, self._credits, self._items, self._finished):
            table.clear()
        self._bytes = 0
