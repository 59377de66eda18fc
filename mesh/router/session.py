"""One session to one replica: a caller's end of frames, and the carrier that takes its batches there and back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from mesh.carrier import Carrier, Passenger
from mesh.deadline import to_wire_ms
from mesh.frames import CallerEnd
from mesh.loops import crossing_to
from mesh.payload import Payload
from mesh.router.call import Call
from mesh.segments.sharing import Sharing
from mesh.v1.replica_pb2 import SessionResponse

_log = logging.getLogger(__name__)


class Session:
    """One session to one replica, from the first pick until it is closed or cut; the passenger of its carrier.

    ``on_batch`` is called after every batch that came in, ``on_cut`` once, when the session is over and before its
    calls are told.
    """

    __slots__ = ("_carrier", "_idle_since_s", "_on_batch", "_on_cut", "end", "next_deadline",
                 "replica_id", "reported_s")  # fmt: skip

    def __init__(
        self,
        replica_id: str,
        carry: Callable[[Passenger], Carrier],
        on_batch: Callable[[], None],
        on_cut: Callable[[Session], None],
    ) -> None:
        self.replica_id = replica_id
        self.end = CallerEnd()
        self.reported_s = 0.0
        self.next_deadline = float("inf")
        """No call of this session has an earlier deadline."""
        self._on_batch = on_batch
        self._on_cut = on_cut
        self._idle_since_s = monotonic()
        self._carrier = carry(self)
        if self._carrier.is_local:
            self.end.share(Sharing(crossing_to(asyncio.get_running_loop()), self._released))

    def open(self, call: Call) -> None:
        """Begin a call in the replica."""
        encoding, body, buffers = call.payload
        deadline = call.deadline
        if deadline < self.next_deadline:
            self.next_deadline = deadline
        call.sent_s = now_s = monotonic()
        timeout_ms = to_wire_ms(deadline, now_s)
        call_id = self.end.open(
            call,
            call.method,
            encoding,
            body,
            timeout_ms,
            call.request_id,
            call.context,
            call.items is not None,
            buffers,
        )
        self._carrier.wake()
        call.opened(self, call_id)

    def silent_s(self, now_s: float) -> float:
        """Seconds for which nothing came although there was a call of which neither a result nor an item has come."""
        for call in self.end.calls.values():  # the oldest first
            if isinstance(call, Call) and not call.is_streaming:
                return now_s - max(self.reported_s, call.sent_s)
        return 0.0

    def say_waits(self, waits: bool) -> None:
        """Calls wait for room, or no longer; the replica is told, the latter only when it matters."""
        if self.end.say_waits(waits):
            self._carrier.wake()

    def cancel(self, call_id: int) -> None:
        self.end.cancel(call_id)
        self._carrier.wake()

    def send_item(self, call_id: int, item: Payload) -> None:
        self.end.send_item(call_id, *item)
        self._carrier.wake()

    def half_close(self, call_id: int) -> None:
        self.end.half_close(call_id)
        self._carrier.wake()

    def consumed(self, call_id: int, size_bytes: int, items: int) -> None:
        if self.end.consumed(call_id, size_bytes, items):
            self._carrier.wake()

    def _released(self, offer: tuple[int, bool]) -> None:
        """Nobody holds memory of a segment of the replica any more."""
        self.end.release(offer)
        self._carrier.wake()

    def watch_deadline(self, deadline: float) -> None:
        """A call of this session has this deadline from now on."""
        self.next_deadline = min(self.next_deadline, deadline)

    def expire(self, now_s: float) -> None:
        """End the calls whose deadline has passed."""
        if now_s < self.next_deadline:
            return
        calls = [call for call in self.end.calls.values() if isinstance(call, Call)]
        for call in calls:
            if call.deadline <= now_s:
                call.expire()
        self.next_deadline = min((call.deadline for call in calls if not call.is_over), default=float("inf"))

    def idle_s(self, now_s: float) -> float:
        """Seconds without any call."""
        if self.end.calls:
            self._idle_since_s = now_s
        return now_s - self._idle_since_s

    def close(self) -> None:
        """End the session; calls that are still in it are cut."""
        self._carrier.close()

    # What the carrier asks and tells: see mesh.carrier.Passenger.

    def take(self) -> bytes | None:
        batch = self.end.take()
        return None if batch is None else batch.SerializeToString()

    def arrived(self, batch: bytes) -> None:
        self.reported_s = monotonic()
        self.end.receive(SessionResponse.FromString(batch))
        if self.end.is_due:
            self._carrier.wake()
        self._on_batch()
        if self.end.take_back_waits():
            self._carrier.wake()
        if self.end.draining and not self.end.calls:
            self.close()  # all is answered, and the replica waits for that to be known

    def lost(self, error: BaseException | None) -> None:
        if self.end.calls:
            _log.info("session cut replica_id=%s calls=%d error=%r", self.replica_id, len(self.end.calls), error)
        self._on_cut(self)
        self.end.cut()
