"""One session to one replica: drives a caller's end over a gRPC stream.

What is ready when the writer is free goes out as one batch: no timer, no delay when idle. Only ``_send`` and
``_receive`` know that the carrier is gRPC.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

import grpc
import grpc.aio

from mesh.deadline import to_wire_ms
from mesh.frames import CallerEnd
from mesh.router.call import Call
from mesh.v1.replica_pb2 import SessionResponse

_log = logging.getLogger(__name__)

SESSION_METHOD = "/mesh.v1.ReplicaService/Session"

_BROKEN = (grpc.aio.AioRpcError, asyncio.InvalidStateError)


class Session:
    """One session to one replica, from the first pick until it is closed or cut.

    ``on_batch`` is called after every batch that came in, ``on_cut`` once, when the session is over and before its
    calls are told.
    """

    __slots__ = ("_carrier", "_channel", "_idle_since_s", "_on_batch", "_on_cut", "_tasks", "_waiting",
                 "end", "is_cut", "next_deadline", "replica_id", "reported_s")  # fmt: skip

    def __init__(
        self,
        replica_id: str,
        channel: grpc.aio.Channel,
        metadata: tuple[tuple[str, str], ...],
        on_batch: Callable[[], None],
        on_cut: Callable[[Session], None],
    ) -> None:
        self.replica_id = replica_id
        self.end = CallerEnd()
        self.reported_s = 0.0
        self.next_deadline = float("inf")
        """No call of this session has an earlier deadline."""
        self.is_cut = False
        self._channel = channel
        # Without serializers gRPC carries bytes: batches are made and read here.
        self._carrier: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(SESSION_METHOD)(  # type: ignore[call-arg]
            metadata=metadata
        )
        self._on_batch = on_batch
        self._on_cut = on_cut
        self._waiting: asyncio.Future[None] | None = None
        self._idle_since_s = monotonic()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._write()), loop.create_task(self._read())]

    def open(self, call: Call) -> None:
        """Begin a call in the replica."""
        encoding, body = call.payload
        deadline = call.deadline
        if deadline < self.next_deadline:
            self.next_deadline = deadline
        timeout_ms = to_wire_ms(deadline, monotonic())
        call_id = self.end.open(
            call, call.method, encoding, body, timeout_ms, call.request_id, call.context, call.items is not None
        )
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        call.opened(self, call_id)

    def cancel(self, call_id: int) -> None:
        self.end.cancel(call_id)
        self._wake()

    def send_item(self, call_id: int, encoding: int, body: bytes) -> None:
        self.end.send_item(call_id, encoding, body)
        self._wake()

    def half_close(self, call_id: int) -> None:
        self.end.half_close(call_id)
        self._wake()

    def consumed(self, call_id: int, size_bytes: int, items: int) -> None:
        if self.end.consumed(call_id, size_bytes, items):
            self._wake()

    def _wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

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

    async def _write(self) -> None:
        take = self.end.take
        loop = asyncio.get_running_loop()
        try:
            # A stream also takes batches while it has no connection; they would count as sent if there never is one.
            await self._channel.channel_ready()
            while True:
                batch = take()
                if batch is None:
                    self._waiting = loop.create_future()
                    await self._waiting
                    self._waiting = None
                    continue
                await self._send(batch.SerializeToString())
        except _BROKEN as error:
            self._cut(error)

    async def _read(self) -> None:
        receive, from_string = self.end.receive, SessionResponse.FromString
        try:
            while (data := await self._receive()) is not None:
                self.reported_s = monotonic()
                receive(from_string(data))
                self._on_batch()
                if self.end.draining and not self.end.calls:
                    break  # all is answered, and the replica waits for that to be known
        except _BROKEN as error:
            self._cut(error)
        finally:
            self._cut(None)

    async def _send(self, data: bytes) -> None:
        await self._carrier.write(data)

    async def _receive(self) -> bytes | None:
        data = await self._carrier.read()
        return None if data is grpc.aio.EOF else data  # type: ignore[attr-defined, return-value]

    def _cut(self, error: BaseException | None) -> None:
        if self.is_cut:
            return
        self.is_cut = True
        if self.end.calls:
            _log.info("session cut replica_id=%s calls=%d error=%r", self.replica_id, len(self.end.calls), error)
        self._on_cut(self)
        self.end.cut()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        asyncio.get_running_loop().create_task(self._channel.close(None))

    def close(self) -> None:
        """End the session; calls that are still in it are cut."""
        self._carrier.cancel()
        self._cut(None)
