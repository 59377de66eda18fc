"""Batches over a unix socket between two processes of one host: each behind its length as four bytes, big-endian.

The first message of the connecting side is the mesh's token; nothing is read from one that does not begin with it.
The first of the other side is empty and says that there is somebody: the kernel also takes what nobody will ever read,
from a process that is stopped or has no descriptor left for the connection. No batch is sent before it has come.
Both ends work in the callbacks of the loop, without a task: what arrives together is read together, and what became
ready meanwhile is written at the end of the same tick, or sooner when it is much: then both processes work at once
instead of in turn.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from time import monotonic
from typing import cast

from mesh.carrier.carrier import LARGEST_BATCH_BYTES, Passenger

_LENGTH_BYTES = 4
_UNSENT_BYTES = 1024 * 1024
"""Nothing more is taken while the kernel has not accepted this much."""
_LONGEST_HOLD_S = 0.00025
"""What was said so long ago does not wait for the end of the tick: the other process works on it meanwhile."""


def _message(content: bytes) -> bytes:
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


class UnixSocket(asyncio.Protocol):
    """One connection. ``passenger`` is told of everything from the moment in which there is one."""

    is_local = True

    def __init__(self, passenger: Passenger | None = None, *, greeting: bytes = b"") -> None:
        self._passenger = passenger
        self._greeting = greeting
        self._is_welcome = not greeting  # whoever has nothing to prove may speak at once
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._is_paused = False
        self._is_scheduled = False
        self._held_since_s = 0.0
        self._is_lost = False

    @classmethod
    def connecting(cls, path: str, token: str, passenger: Passenger) -> UnixSocket:
        """A carrier that connects to a listener; ``passenger`` may wake it at once."""
        carrier = cls(passenger, greeting=token.encode())
        task = carrier._loop.create_task(carrier._connect(path))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return carrier

    async def _connect(self, path: str) -> None:
        try:
            await self._loop.create_unix_connection(lambda: self, path)
        except OSError as error:
            self._lose(error)

    def wake(self) -> None:
        if self._is_scheduled:
            if monotonic() - self._held_since_s >= _LONGEST_HOLD_S:
                self._send()
        elif self._transport is not None:
            self._is_scheduled = True
            self._held_since_s = monotonic()
            self._loop.call_soon(self._end_tick)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._lose(None)

    def _end_tick(self) -> None:
        self._is_scheduled = False
        self._send()

    def _send(self) -> None:
        self._held_since_s = monotonic()
        if self._is_lost or self._passenger is None or self._transport is None or not self._is_welcome:
            return
        take = self._passenger.take
        while not self._is_paused and (batch := take()) is not None:
            self._transport.write(_message(batch))

    def _lose(self, error: BaseException | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            if self._passenger is not None:
                self._passenger.lost(error)

    # What the loop tells: see asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._is_lost:
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(_UNSENT_BYTES)
        if self._greeting:
            transport.write(_message(self._greeting))
        self.wake()

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data = self._unread + data
        begin, size = 0, len(data)
        while size - begin >= _LENGTH_BYTES and not self._is_lost:
            length = int.from_bytes(data[begin : begin + _LENGTH_BYTES], "big")
            if length > LARGEST_BATCH_BYTES:
                self.close()
                return
            end = begin + _LENGTH_BYTES + length
            if end > size:
                break
            self._received(data[begin + _LENGTH_BYTES : end])
            begin = end
        self._unread = data[begin:] if begin else data

    def _received(self, batch: bytes) -> None:
        assert self._passenger is not None
        if not self._is_welcome:
            self._is_welcome = True
            self.wake()
            return
        try:
            self._passenger.arrived(batch)
        except BaseException:
            self.close()
            raise

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(error)


class Listener(UnixSocket):
    """The accepting end of one connection: nothing but the token is read until it has come."""

    def __init__(self, token: str, accept: Callable[[UnixSocket], Passenger]) -> None:
        super().__init__()
        self._expected = _message(token.encode())
        self._accept = accept

    def data_received(self, data: bytes) -> None:
        if self._passenger is None:
            data = self._unread + data
            greeting, self._unread = data[: len(self._expected)], b""
            if not hmac.compare_digest(greeting, self._expected[: len(greeting)]):
                self.close()
                return
            if len(greeting) < len(self._expected):
                self._unread = data
                return
            assert self._transport is not None
            self._transport.write(_message(b""))
            self._passenger = self._accept(self)
            self.wake()
            data = data[len(self._expected) :]
        if data:
            super().data_received(data)
