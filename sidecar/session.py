"""One session in a replica: drives a replica's end over a gRPC stream and starts the work that it brings."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from mesh import errors
from mesh.context import RequestContext, encode_call_context
from mesh.deadline import from_wire_ms
from mesh.frames import WINDOW, Opened, ReplicaEnd
from mesh.payload import Payload, encode_error
from mesh.v1.payload_pb2 import ErrorDetail
from mesh.v1.replica_pb2 import CallContext, SessionRequest
from sidecar.work import Work

if TYPE_CHECKING:
    from sidecar.replica import Replica


class ReplicaSession:
    """All calls of one process to this replica, while its stream is open."""

    def __init__(self, replica: Replica, stream: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        self.loop = replica.loop
        self.turns = replica.turns
        self.crossing = replica.crossing
        self.end = ReplicaEnd(self)
        self.work: dict[int, Work] = {}
        """Calls that hold a slot, those that their caller has given up included."""
        self._replica = replica
        self._stream = stream
        self._waiting: asyncio.Future[None] | None = None
        self._wire = encode_call_context("", (replica.replica_id,), "")

    async def run(self) -> None:
        """Read and write until the caller has closed the session.

        It is never closed from here, not by draining either: a call that is on its way would find no answer, and its
        caller could not know that it was not begun.
        """
        reading = self.loop.create_task(self._read())
        writing = self.loop.create_task(self._write())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            self.end.cut()

    async def _read(self) -> None:
        receive, from_string = self.end.receive, SessionRequest.FromString
        while (data := await self._stream.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            receive(from_string(data))
            self.wake()

    async def _write(self) -> None:
        while True:
            batch = self.end.take(self._replica.admission.ongoing - len(self.work))
            if batch is not None:
                await self._stream.write(batch.SerializeToString())
            else:
                self._waiting = self.loop.create_future()
                await self._waiting
                self._waiting = None

    def wake(self) -> None:
        """Have the writer look for something to send."""
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

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
        """Admit a call and start it: see mesh.frames.Host."""
        replica = self._replica
        now_s = monotonic()
        deadline = from_wire_ms(timeout_ms, now_s)
        request = self._request(request_id, deadline, context)
        if not replica.admission.enter(request.chain[:-1]):
            self.end.reject(call_id)
            replica.owe_batch(self)
            return None
        bound = replica.user_code.method(method)
        if bound is None or replica.admission.too_deep(request.chain[:-1]):
            replica.admission.leave()
            self.end.error(call_id, encode_error(self._refusal(method, request)))
            return None
        work = Work(self, call_id, bound, Payload(encoding, body), request, items_follow)
        self.work[call_id] = work
        replica.watch_deadline(deadline)
        work.start()
        return work if call_id in self.work else None

    def _request(self, request_id: str, deadline: float, context: bytes) -> RequestContext:
        if not context:
            return RequestContext(request_id, deadline, chain=(self._replica.replica_id,), wire=self._wire)
        received = CallContext.FromString(context)
        chain = (*received.chain, self._replica.replica_id)
        wire = encode_call_context(received.traceparent, chain, received.model_id)
        return RequestContext(request_id, deadline, received.traceparent, chain, received.model_id, wire)

    def _refusal(self, method: str, request: RequestContext) -> errors.MeshError:
        names = ", ".join(self._replica.user_code.method_names)
        if method in self._replica.user_code.method_names:
            return errors.RequestRejected(
                f"the request came through {len(request.chain) - 1} replicas that all wait for each other; "
                "deployments that call each other in a circle have to end somewhere"
            )
        return errors.MethodNotFound(f"{self._replica.replica_id} has no method {method!r}, it has {names}")

    # What work says.

    def reply(self, call_id: int, encoding: int, body: bytes) -> None:
        self.end.reply(call_id, encoding, body)
        self.wake()

    def fail(self, call_id: int, detail: ErrorDetail) -> None:
        self.end.error(call_id, detail)
        self.wake()

    def send_item(self, call_id: int, encoding: int, body: bytes) -> None:
        self.end.send_item(call_id, encoding, body)
        self.wake()

    def end_items(self, call_id: int) -> None:
        self.end.end(call_id)
        self.wake()

    def ask_for_items(self, call_id: int) -> None:
        """The user's code reads: the caller may send what it holds back."""
        self.end.give_credit(call_id, WINDOW)
        self.wake()

    def consumed(self, call_id: int, size_bytes: int) -> None:
        if self.end.consumed(call_id, size_bytes):
            self.wake()

    def left(self, call_id: int) -> None:
        """The user's code for a call has ended: its slot is free."""
        del self.work[call_id]
        self._replica.left()

    def drain(self) -> None:
        """Take nothing new, and say so; the caller closes the session when all its calls are answered."""
        self.end.draining = self.end.owes_batch = True
        self.wake()
