"""A call that a WebSocket made: the user's code gets a Starlette WebSocket, whose messages are items of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import PlainTextResponse
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect

from mesh.answers import encode_refusal, encode_response
from mesh.payload import WEBSOCKET_MESSAGE, Payload
from mesh.websocket import NORMAL, WireWebSocket, decode_from_client, encode_message
from mesh.websocket import encode_refusal as encode_websocket_refusal
from sidecar.arriving_body import ArrivingBody

if TYPE_CHECKING:
    from sidecar.work import Work

ABNORMAL = 1006
"""The code that stands for a connection that ended without one."""


async def serve_websocket(work: Work, wire: bytes, arriving: ArrivingBody) -> None:
    """Run the user's method with a WebSocket until one of the two ends it.

    What the method raises is raised, except what says how the connection is to end: ``WebSocketException``, and
    ``HTTPException`` before it was accepted.
    """
    method, ends = work.method, _Ends(work, arriving)
    if not method.takes_websocket:
        await ends.refuse(HTTPException(403, _NO_WEBSOCKET.format(method=method.function.__qualname__)))
    else:
        try:
            await method.function(WireWebSocket(wire, ends.receive, ends.send))
            await ends.close(NORMAL, "")
        except WebSocketDisconnect:
            pass  # the client has gone, and the method has nothing more to do
        except WebSocketException as error:
            await ends.close(error.code, error.reason)
        except HTTPException as error:
            if ends.is_accepted:
                raise
            await ends.refuse(error)
    work.yielded(None)


class _Ends:
    """What ASGI gives an application: ``receive`` and ``send``."""

    def __init__(self, work: Work, arriving: ArrivingBody) -> None:
        self.is_accepted = False
        self._is_closed = False
        self._is_begun = False
        self._work = work
        self._arriving = arriving
        self._refusal: Message | None = None

    async def receive(self) -> Message:
        if not self._is_begun:
            self._is_begun = True
            return {"type": "websocket.connect"}
        try:
            return decode_from_client(await anext(self._arriving))
        except StopAsyncIteration:
            return {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.http.response.start":
            self._refusal = message
        elif kind == "websocket.http.response.body":
            assert self._refusal is not None
            await self._refuse_with(self._refusal, message.get("body", b""))
        elif kind == "websocket.close" and not self.is_accepted:
            await self.refuse(HTTPException(403, message.get("reason") or "the WebSocket was not accepted"))
        else:
            self.is_accepted = self.is_accepted or kind == "websocket.accept"
            self._is_closed = self._is_closed or kind == "websocket.close"
            await self._work.send(Payload(WEBSOCKET_MESSAGE, encode_message(message)))

    async def close(self, code: int, reason: str) -> None:
        """End the connection, unless it has ended; one that was never accepted is refused."""
        if not self._is_closed:
            await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def refuse(self, refusal: HTTPException) -> None:
        """Answer the handshake with an HTTP response."""
        await self._send_refusal(encode_refusal(refusal))

    async def _refuse_with(self, start: Message, body: bytes) -> None:
        response = PlainTextResponse(status_code=start["status"])
        response.body, response.raw_headers = body, list(start.get("headers", ()))
        await self._send_refusal(encode_response(response))

    async def _send_refusal(self, response: bytes) -> None:
        self._is_closed = True
        await self._work.send(Payload(WEBSOCKET_MESSAGE, encode_websocket_refusal(response)))


_NO_WEBSOCKET = (
    "{method} takes no WebSocket: give it a parameter annotated as starlette.websockets.WebSocket and make it "
    "async def, or deploy an ASGI application with mesh.ingress\n"
)
