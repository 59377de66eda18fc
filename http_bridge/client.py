"""The far side of one HTTP exchange: the body that it sends, and whether it is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Receive

from http_bridge.long_waits import LongWaits
from mesh.http import too_large
from mesh.payload import BYTES, Payload

INLINE_BODY_BYTES: Final = 256 * 1024
"""A body up to this size is read before the call begins, so that a slow sender holds no slot of a replica."""
IS_GONE: Final = "mesh.is_gone"
"""The extension of an ASGI scope that tells, by a call without arguments, whether the connection has ended."""


class ClientGone(Exception):
    """The client left before its request was complete."""


class Client:
    """One client, read through ASGI's ``receive``."""

    __slots__ = ("_body_ended", "_cancel", "_first", "_has_waited_long", "_is_gone", "_limit_bytes", "_listener",
                 "_read_bytes", "_receive", "_waits", "failed")  # fmt: skip

    def __init__(
        self,
        receive: Receive,
        limit_bytes: int,
        waits: LongWaits,
        *,
        has_body: bool,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._waits = waits
        self._read_bytes = 0
        self._body_ended = not has_body
        self._first = b""
        self._cancel: Callable[[], object] | None = None
        self._is_gone = is_gone
        self._has_waited_long = False
        self._listener: asyncio.Task[None] | None = None
        self.failed: Exception | None = None
        """Why this client's side of the exchange ended the call: it is gone, or sent too much."""

    async def read_body(self) -> bytes | None:
        """The whole body, or None when it is longer than :data:`INLINE_BODY_BYTES`: it follows as items then.

        Raises :class:`ClientGone`, and :class:`mesh.errors.PayloadTooLarge` for a body over the limit.
        """
        pieces = []
        while not self._body_ended and self._read_bytes <= INLINE_BODY_BYTES:
            pieces.append(await self._next_piece())
        body = b"".join(pieces)
        if self._body_ended:
            return body
        self._first = body
        return None

    def __aiter__(self) -> Client:
        return self

    async def __anext__(self) -> Payload:
        """The next piece of a body that :meth:`read_body` has left."""
        if self._first:
            piece, self._first = self._first, b""
            return Payload(BYTES, piece)
        while not self._body_ended:
            try:
                piece = await self._next_piece()
            except Exception as error:
                self.fail(error)
                raise
            if piece:
                return Payload(BYTES, piece)
        raise StopAsyncIteration

    def cancel_when_gone(self, cancel: Callable[[], object]) -> None:
        """Call ``cancel`` when the client leaves; that is noticed once it has waited long and its body has ended.

        At once when it has left already: then it was too late for what was to be cancelled before.
        """
        self._cancel = cancel
        if self.failed is not None:
            cancel()
        elif self._has_waited_long:
            self.listen()
        else:
            self._waits.add(self)

    def stop_listening(self) -> None:
        """The call has ended: whatever the client does now cancels nothing."""
        self._cancel = None
        self._waits.discard(self)
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None

    def fail(self, error: Exception) -> None:
        """End the call because of what the client did."""
        self.failed = error
        if self._cancel is not None:
            self._cancel()

    def was_sent(self) -> None:
        """A piece of the answer has gone to it, or nowhere: nobody listens to a client whose body has not ended.

        Its body may be one that the user's code never reads, and listening would be reading.
        """
        if not self._body_ended and self._is_gone():
            self.fail(ClientGone())

    def listen(self) -> None:
        """It has waited long: see :class:`http_bridge.long_waits.Waiting`."""
        self._has_waited_long = True
        if self._body_ended and self._cancel is not None and self._listener is None:
            self._listener = asyncio.get_running_loop().create_task(self._wait_gone())

    async def _wait_gone(self) -> None:
        # Of a request without a body the message that says so may still be there, and is passed over.
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.fail(ClientGone())

    async def _next_piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self._read_bytes += len(piece)
        if self._read_bytes > self._limit_bytes:
            raise too_large(self._limit_bytes)
        if not message.get("more_body", False):
            self._body_ended = True
            if self._has_waited_long:
                self.listen()
        return piece
