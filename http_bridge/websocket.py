"""One WebSocket as one call of a deployment: messages of both sides are items, which carry credit for each other."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, cast

from starlette.types import Receive, Scope, Send

from http_bridge.exchange import Call, ItemStream, Router, first_config
from http_bridge.request_head import RequestHead
from mesh.context import RequestContext, encode_call_context
from mesh.errors import DeadlineExceeded, MeshError, ReplicaDied, RequestCancelled
from mesh.http import encode_request
from mesh.payload import WEBSOCKET, WEBSOCKET_MESSAGE, Payload
from mesh.websocket import decode_from_application, encode_message

LINGER_S: Final = 2.0
"""Once its client has left, the user's code may take what it said and end; after this long it is cancelled."""
AHEAD_BYTES: Final = 256 * 1024
"""How much a client may have said that the replica has not asked for."""
_MESSAGE_OVERHEAD: Final = 1024
_LONGEST_REASON: Final = 123  # bytes, by RFC 6455

MESSAGE_LIMIT: Final = "mesh.websocket.limit"
"""A message to the server that offers this extension of ASGI: from now on the client's messages have ``max_bytes``."""

FAILED: Final = 1011
"""Close code: the user's code failed."""
RESTARTS: Final = 1012
"""Close code: the replica or the bridge has ended, and connecting again finds another."""

_log = logging.getLogger(__name__)


async def relay_websocket(
    router: Router, prefix: str, head: RequestHead, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let the deployment behind ``router`` answer a WebSocket, to its end.

    Raises what the call raised before it answered the handshake. After that there is no deadline.
    """
    config = router.config or await first_config(router, head)
    timeout_s = head.timeout_s(config.request_timeout_s)
    context = RequestContext(head.request_id, traceparent=head.traceparent,
                             wire=encode_call_context(head.traceparent, (), ""))  # fmt: skip
    if MESSAGE_LIMIT in (scope.get("extensions") or ()):
        await send({"type": MESSAGE_LIMIT, "max_bytes": config.max_body_bytes})
    asked = {**scope, "method": "GET"}
    request = encode_request(asked, prefix, b"", body_follows=True, max_body_bytes=config.max_body_bytes)
    speaker = _Speaker(receive)
    call = router.call("__call__", Payload(WEBSOCKET, request), context, speaker, timeout_s=inf)
    speaker.listen(call.cancel)
    try:
        items = await _answered(call, timeout_s)
        speaker.cancel = items.cancel
        try:
            await _relay(items, send, head.request_id)
        except OSError:
            pass  # nobody is there to be told anything
        finally:
            items.cancel()
    except asyncio.CancelledError:
        if not speaker.is_gone:
            raise
    finally:
        call.cancel()
        speaker.stop()


async def _answered(call: Call, timeout_s: float | None) -> ItemStream:
    """The application's messages, as soon as the first one is there."""
    try:
        async with asyncio.timeout(timeout_s):
            return cast(ItemStream, await call)
    except TimeoutError as error:
        if isinstance(error, MeshError):
            raise
        raise DeadlineExceeded(f"the WebSocket was not accepted within {timeout_s:g} s") from None


async def _relay(items: ItemStream, send: Send, request_id: str) -> None:
    """Pass on what the application says, each message when the client has taken those before."""
    try:
        async for item in items:
            for message in decode_from_application(item.body):
                if "headers" in message:
                    message["headers"].append((b"x-request-id", request_id.encode()))
                await send(message)
    except (ReplicaDied, RequestCancelled) as error:
        await _close(send, RESTARTS, error)
    except OSError:
        raise
    except Exception as error:
        _log.warning("a WebSocket was cut off request_id=%s error=%r", request_id, error)
        await _close(send, FAILED, error)


async def _close(send: Send, code: int, error: Exception) -> None:
    reason = f"{type(error).__name__}: {error}".encode()[:_LONGEST_REASON].decode(errors="ignore")
    await send({"type": "websocket.close", "code": code, "reason": reason})


class _Speaker:
    """The client's side: what it says as items of the call, read ahead so that its leaving is noticed."""

    def __init__(self, receive: Receive) -> None:
        self.is_gone = False
        self.cancel: Callable[[], object] = lambda: None
        self._receive = receive
        self._said: deque[bytes] = deque()
        self._said_bytes = 0
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, cancel: Callable[[], object]) -> None:
        """Read what it says from now on; when it leaves before the call ends, ``cancel`` ends that a little later."""
        self.cancel = cancel
        self._reader = asyncio.get_running_loop().create_task(self._read())

    def stop(self) -> None:
        """The call has ended."""
        if self._reader is not None:
            self._reader.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def _read(self) -> None:
        while not self.is_gone:
            while self._said_bytes > AHEAD_BYTES:
                self._changed.clear()
                await self._changed.wait()
            message = await self._receive()
            if message["type"] == "websocket.connect":
                continue
            self.is_gone = message["type"] == "websocket.disconnect"
            self._said.append(encode_message(message))
            self._said_bytes += len(self._said[-1]) + _MESSAGE_OVERHEAD
            self._changed.set()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, lambda: self.cancel())

    def __aiter__(self) -> _Speaker:
        return self

    async def __anext__(self) -> Payload:
        while not self._said:
            if self.is_gone:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        body = self._said.popleft()
        self._said_bytes -= len(body) + _MESSAGE_OVERHEAD
        self._changed.set()
        return Payload(WEBSOCKET_MESSAGE, body)
