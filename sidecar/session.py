"""One session in a replica: a replica's end of frames, its carrier, and the work that it brings."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from mesh import errors
from mesh.carrier import Carrier
from mesh.context import RequestContext, encode_call_context
from mesh.deadline import from_wire_ms
from mesh.error_detail import encode_error
from mesh.frames import WINDOW, Opened, ReplicaEnd
from mesh.payload import Payload
from mesh.segments.buffer import Buffer
from mesh.segments.sharing import Sharing
from mesh.v1.payload_pb2 import ErrorDetail
from mesh.v1.replica_pb2 import CallContext, SessionRequest
from sidecar.work import Work

if TYPE_CHECKING:
    from sidecar.replica import Replica


class ReplicaSession:
    """All calls of one process to this replica, while its carrier lasts; the carrier's passenger.

    It is never closed from here, not by draining either: a call that is on its way would find no answer, and its
    caller could not know that it was not begun.
    """

    carrier: Carrier

    def __init__(self, replica: Replica) -> None:
        self.loop = replica.loop
        self.turns = replica.turns
        self.crossing = replica.crossing
        self.end = ReplicaEnd(self)
        self.work: dict[int, Work] = {}
        """Calls that hold a slot, those that their caller has given up included."""
        self._has_waited = False  # its caller, as the batch before said
        self._replica = replica
        self._surroundings = replica.surroundings
        self._wire = encode_call_context("", (replica.replica_id,), "")

    def wake(self) -> None:
        """There may be something to send."""
        self.carrier.wake()

    def share_memory(self) -> None:
        """The caller is a process of this host: large buffers need not go through the carrier."""
        self.end.share(Sharing(self.crossing, self._released))

    def _released(self, offer: tuple[int, bool]) -> None:
        """Nobody holds memory of a segment of the caller any more."""
        self.end.release(offer)
        self.wake()

    # What the carrier asks and tells: see mesh.carrier.Passenger.

    def take(self) -> bytes | None:
        replica = self._replica
        batch = self.end.take(replica.admission.ongoing - len(self.work))
        if batch is None:
            return None
        batch.service_time_us = replica.service_time.recent_us
        if replica.admission.promises.total:
            batch.ongoing_elsewhere += replica.admission.promises.kept_from(self)
        return batch.SerializeToString()

    def arrived(self, batch: bytes) -> None:
        end = self.end
        end.receive(SessionRequest.FromString(batch))
        if end.caller_waits or self._has_waited:
            self._has_waited = end.caller_waits
            self._replica.caller_waits(self)
        self.carrier.wake()

    def lost(self, error: BaseException | None) -> None:
        self.end.cut()
        self._replica.lost(self)

    # What the end of frames hands in.

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
        """Admit a call and start it: see mesh.frames.Host."""
        replica = self._replica
        now_s = monotonic()
        deadline = from_wire_ms(timeout_ms, now_s)
        request = self._request(request_id, deadline, context)
        if not replica.admission.enter(request.chain[:-1], self):
            self.end.reject(call_id)
            return None
        bound = replica.user_code.method(method)
        if bound is None or replica.admission.too_deep(request.chain[:-1]):
            self.end.error(call_id, encode_error(self._refusal(method, request)))
            replica.left(self)
            return None
        is_timed = now_s >= replica.service_time.next_s
        work = Work(self, call_id, bound, Payload(encoding, body, buffers), request, items_follow, is_timed)
        self.work[call_id] = work
        replica.watch_deadline(deadline)
        work.start()
        return work if call_id in self.work else None

    def _request(self, request_id: str, deadline: float, context: bytes) -> RequestContext:
        if not context:
            own = (self._replica.replica_id,)
            return RequestContext(request_id, deadline, chain=own, wire=self._wire, surroundings=self._surroundings)
        received = CallContext.FromString(context)
        chain = (*received.chain, self._replica.replica_id)
        wire = encode_call_context(received.traceparent, chain, received.model_id)
        request = RequestContext(request_id, deadline, received.traceparent, chain, received.model_id, wire)
        request.surroundings = self._surroundings
        return request

    def _refusal(self, method: str, request: RequestContext) -> errors.MeshError:
        names = ", ".join(self._replica.user_code.method_names)
        if method in self._replica.user_code.method_names:
            return errors.RequestRejected(
                f"the request came through {len(request.chain) - 1} replicas that all wait for each other; "
                "deployments that call each other in a circle have to end somewhere"
            )
        return errors.MethodNotFound(f"{self._replica.replica_id} has no method {method!r}, it has {names}")

    # What work says.

    def reply(self, call_id: int, payload: Payload) -> None:
        self.end.reply(call_id, *payload)
        self.wake()

    def fail(self, call_id: int, detail: ErrorDetail) -> None:
        self.end.error(call_id, detail)
        self.wake()

    def send_item(self, call_id: int, item: Payload) -> None:
        self.end.send_item(call_id, *item)
        self.wake()

    def end_items(self, call_id: int) -> None:
        self.end.end(call_id)
        self.wake()

    def ask_for_items(self, call_id: int) -> None:
        """The user's code reads: the caller may send what it holds back."""
        self.end.give_credit(call_id, WINDOW)
        self.wake()

    def consumed(self, call_id: int, size_bytes: int, items: int = 1) -> None:
        if self.end.consumed(call_id, size_bytes, items):
            self.wake()

    def took(self, seconds: float, now_s: float) -> None:
        """The user's code had an answer for a call, or the first item of one, after so long."""
        self._replica.service_time.note(seconds, now_s)

    def left(self, call_id: int) -> None:
        """The user's code for a call has ended: its slot is free."""
        del self.work[call_id]
        self._replica.left(self)

    def tell_models(self, model_ids: tuple[str, ...]) -> None:
        """The replica holds these models from now on."""
        self.end.models = model_ids
        self.wake()

    def drain(self) -> None:
        """Take nothing new, and say so; the caller closes the session when all its calls are answered."""
        self.end.draining = self.end.owes_batch = True
        self.wake()
