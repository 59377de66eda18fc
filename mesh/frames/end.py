"""What both ends of a session have in common: a table of calls, streams that take turns, credit, finished batches."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from mesh.frames.arrival import SEGMENT
from mesh.frames.columns import ItemFrame
from mesh.frames.limits import BATCH_BYTES, FRAME_BYTES, FRAME_OVERHEAD, ITEM_OVERHEAD, WINDOW
from mesh.frames.stream import Stream
from mesh.segments.buffer import Buffer, Segments
from mesh.v1.payload_pb2 import SegmentNews, SegmentReference
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse

Call = TypeVar("Call")
Batch = TypeVar("Batch", SessionRequest, SessionResponse)


class SessionEnd(Generic[Call, Batch]):
    """One end of a session. ``first_credit`` is what a call may send before the other end has given credit."""

    __slots__ = ("_bytes", "_credits", "_finished", "_first_credit", "_held", "_items", "_last_offer", "_news",
                 "_offered", "_segments", "_streams", "_takes_segments", "_turns", "calls")  # fmt: skip

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
        self._segments: Segments | None = None
        self._takes_segments: bool | None = False  # the other end does; None while it has not said so yet
        self._offered: dict[int, Buffer] = {}  # which may be in use at the other end
        self._held: set[int] = set()  # offers of the other end that are not released
        self._last_offer = 0
        self._news: SegmentNews | None = None  # to be told

    def share(self, segments: Segments) -> None:
        """Send large buffers by shared memory, once it is known that the other end can open it. Before all else."""
        self._segments = segments
        probe = segments.probe()
        if probe is not None:
            self._takes_segments = None
            self._tell().probe.CopyFrom(probe)

    def release(self, offer: tuple[int, bool]) -> None:
        """Nothing of an offer (its id, whether it is spoilt) is in use at this end any more."""
        segment_id, is_spoilt = offer
        if segment_id in self._held:
            self._held.discard(segment_id)
            (self._tell().spoilt_ids if is_spoilt else self._tell().released_ids).append(segment_id)

    @property
    def is_due(self) -> bool:
        """What was received has to be answered, or has made something ready to be sent."""
        return self._news is not None or bool(self._turns)

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
        if self._is_ready(stream):
            self._turns[stream.call_id] = stream

    def _is_ready(self, stream: Stream) -> bool:
        return stream.ready and (self._takes_segments is not None or not stream.has_buffers)

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
            while self._is_ready(stream) and turn_bytes < FRAME_BYTES and not full:
                if stream.items:
                    frame = stream.next_frame(self._offer)
                    size = len(frame[1]) + FRAME_OVERHEAD
                else:
                    stream.close()
                    frame, size = None, FRAME_OVERHEAD
                turn_bytes += size
                self._bytes += size
                yield stream, frame
                full = self._bytes >= BATCH_BYTES
            self._queue(stream)

    # --- shared memory

    def _tell(self) -> SegmentNews:
        if self._news is None:
            self._news = SegmentNews()
        return self._news

    def _receive_news(self, news: SegmentNews) -> None:
        if news.HasField("probe"):
            self._tell().takes_segments = self._segments is not None and self._segments.can_open(news.probe)
        if news.HasField("takes_segments"):
            self._takes_segments = news.takes_segments
            for stream in self._streams.values():
                self._queue(stream)
        for segment_id in news.released_ids:
            self._offered.pop(segment_id, None)
        for segment_id in news.spoilt_ids:
            if (buffer := self._offered.pop(segment_id, None)) is not None:
                buffer.spoil()

    def _offer(self, buffer: Buffer) -> bytes | None:
        """Offer a buffer to the other end; None when it has to go in line."""
        if not self._takes_segments or (reference := buffer.offer()) is None:
            return None
        self._last_offer = reference.id = self._last_offer + 1
        self._offered[reference.id] = buffer
        return reference.SerializeToString()

    def _put_part(self, call_id: int, encoding: int, part: bytes) -> None:
        """A part of a payload has come."""
        arrival = self._stream(call_id).arriving(encoding)
        if encoding == SEGMENT:
            arrival.put_segment(self._open_offer(SegmentReference.FromString(part)))
        else:
            arrival.put(encoding, part)

    def _open_offer(self, reference: SegmentReference) -> Buffer | None:
        self._held.add(reference.id)
        buffer = None if self._segments is None else self._segments.arrived(reference)
        if buffer is None:
            self.release((reference.id, False))
            self._tell().takes_segments = False
        return buffer

    def _drop_part(self, encoding: int, part: bytes) -> None:
        """A part of a payload has come that nobody wants."""
        if encoding == SEGMENT:
            segment_id = SegmentReference.FromString(part).id
            self._held.add(segment_id)
            self.release((segment_id, False))

    def _clear(self) -> None:
        """Nothing is sent any more; the calls are left to the one who asks."""
        for buffer in self._offered.values():
            buffer.spoil()  # what the other end does with it will never be known
        self._offered.clear()
        self._held.clear()
        self._news = None
        self._takes_segments = False
        for table in (self._streams, self._turns, self._credits, self._items, self._finished):
            table.clear()
        self._bytes = 0
