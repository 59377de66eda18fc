"""WebSockets as they travel between the bridge and a replica: ASGI's messages as bytes and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import URL
from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocket

from mesh.errors import PayloadError
from mesh.http import claim_request, scope_of
from mesh.v1.http_pb2 import HttpRequest, HttpResponse, WebSocketAccept, WebSocketClose, WebSocketMessage

NORMAL = 1000
"""The close code of a connection that has served its purpose."""


def encode_message(message: Mapping[str, Any]) -> bytes:
    """A serialized ``WebSocketMessage`` for a message of ASGI, from the client or from the application.

    Raises :class:`mesh.errors.PayloadError` for a message of another kind.
    """
    kind = message["type"]
    if kind in ("websocket.receive", "websocket.send"):
        text = message.get("text")
        event = WebSocketMessage(text=text) if text is not None else WebSocketMessage(binary=bytes(message["bytes"]))
    elif kind == "websocket.accept":
        headers = message.get("headers") or ()
        event = WebSocketMessage(
            accept=WebSocketAccept(
                subprotocol=message.get("subprotocol") or "",
                header_names=[bytes(name) for name, _ in headers],
                header_values=[bytes(value) for _, value in headers],
            )
        )
    elif kind in ("websocket.close", "websocket.disconnect"):
        close = WebSocketClose(code=message.get("code") or NORMAL, reason=message.get("reason") or "")
        event = WebSocketMessage(close=close)
    else:
        raise PayloadError(f"a WebSocket has no message of type {kind!r}")
    return event.SerializeToString()


def encode_refusal(response: bytes) -> bytes:
    """A serialized ``WebSocketMessage`` that answers a handshake with a serialized ``HttpResponse`` instead."""
    return WebSocketMessage(refusal=HttpResponse.FromString(response)).SerializeToString()


def decode_from_client(wire: bytes) -> Message:
    """ASGI's message for the application out of what the client said."""
    event = WebSocketMessage.FromString(wire)
    if event.HasField("close"):
        return {"type": "websocket.disconnect", "code": event.close.code, "reason": event.close.reason}
    if event.HasField("text"):
        return {"type": "websocket.receive", "text": event.text}
    return {"type": "websocket.receive", "bytes": event.binary}


def decode_from_application(wire: bytes) -> list[Message]:
    """ASGI's messages for the client out of what the application said; a refusal is two."""
    event = WebSocketMessage.FromString(wire)
    kind = event.WhichOneof("event")
    if kind == "text":
        return [{"type": "websocket.send", "text": event.text}]
    if kind == "binary":
        return [{"type": "websocket.send", "bytes": event.binary}]
    if kind == "close":
        return [{"type": "websocket.close", "code": event.close.code, "reason": event.close.reason}]
    if kind == "accept":
        headers = list(zip(event.accept.header_names, event.accept.header_values, strict=True))
        subprotocol = event.accept.subprotocol or None
        return [{"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}]
    refusal = event.refusal
    headers = list(zip(refusal.header_names, refusal.header_values, strict=True))
    return refusal_messages(refusal.status, headers, refusal.body)


def refusal_messages(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> list[Message]:
    """ASGI's messages that answer a handshake with an HTTP response."""
    return [
        {"type": "websocket.http.response.start", "status": status, "headers": headers},
        {"type": "websocket.http.response.body", "body": body},
    ]


class WireWebSocket(WebSocket):
    """A Starlette WebSocket behind a route prefix; see :class:`mesh.http.WireRequest` for path, prefix and URL."""

    def __init__(self, wire: bytes, receive: Receive, send: Send) -> None:
        message = HttpRequest.FromString(wire)
        scope = scope_of(message)
        del scope["method"]
        asked = [value.decode("latin-1") for name, value in scope["headers"] if name == b"sec-websocket-protocol"]
        scope["type"] = "websocket"
        scope["subprotocols"] = [token.strip() for token in ",".join(asked).split(",") if token.strip()]
        scope["extensions"] = {"websocket.http.response": {}}
        super().__init__(scope, receive, send)
        self.whole_path = message.root_path + message.path
        """The path as the client asked for it, route prefix included."""

    @property
    def url(self) -> URL:
        """The URL as the client asked for it, route prefix included."""
        if not hasattr(self, "_url"):
            self._url = URL(scope={**self.scope, "path": self.whole_path})
        return self._url

    def __reduce__(self) -> tuple[Any, ...]:
        claim_request(self)
        raise AssertionError("unreachable: a WebSocket cannot be claimed")
