"""HTTP requests and responses as they travel between the bridge and the replicas, both directions.

The bridge turns an ASGI scope into bytes with :func:`encode_request`. A replica hands them to the user's code as a
:class:`WireRequest`, a ``starlette.requests.Request`` that is decoded when it is first looked at, and turns the
answer into bytes with :func:`encode_answer`, or with :func:`run_response` when the answer comes in pieces.
Nothing here talks to the network, and nothing here decides what becomes of an error.
"""

from __future__ import annotations

import asyncio
import copyreg
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message
from starlette.websockets import WebSocket

from mesh.config import DeploymentConfig
from mesh.context import current
from mesh.errors import PayloadError, PayloadTooLarge
from mesh.json_encoding import encode_json
from mesh.payload import HTTP_REQUEST, attach, attached_value, register_decoder
from mesh.v1.http_pb2 import HttpRequest, HttpResponse

# Requests


def encode_request(
    scope: Mapping[str, Any], prefix: str, body: bytes, *, body_follows: bool, max_body_bytes: int
) -> bytes:
    """A serialized ``HttpRequest`` for an ASGI scope whose path starts with ``prefix`` ("" for the root).

    With ``body_follows`` the body comes later, in items; ``max_body_bytes`` is how much of it a reader takes.
    """
    path = scope["path"]
    headers = scope["headers"]
    client_host, client_port = scope.get("client") or ("", 0)
    server_host, server_port = scope.get("server") or ("", 0)
    return HttpRequest(
        method=scope["method"],
        scheme=scope.get("scheme") or "http",
        http_version=scope.get("http_version") or "1.1",
        path=path[len(prefix) :] if prefix else path,
        raw_path=scope.get("raw_path") or quote(path).encode(),
        query_string=scope.get("query_string") or b"",
        root_path=prefix,
        header_names=[name for name, _ in headers],
        header_values=[value for _, value in headers],
        client_host=client_host,
        client_port=client_port or 0,
        server_host=server_host,
        server_port=server_port or 0,
        body=body,
        body_follows=body_follows,
        max_body_bytes=max_body_bytes,
    ).SerializeToString()


def decode_request(wire: bytes, items: AsyncIterator[bytes] | None = None) -> WireRequest:
    """The request behind a serialized ``HttpRequest``; ``items`` brings the body when it follows.

    ``items`` must outlive the cancellation of one ``anext``: an object with ``__anext__``, not a generator.
    """
    return WireRequest(wire, items)


def empty_request() -> WireRequest:
    """A ``GET /`` without headers and body: what ``__call__`` gets when a handle passes no argument for its request."""
    return WireRequest(_EMPTY_REQUEST, None)


class WireRequest(Request):
    """A Starlette request that is decoded from its bytes when something in it is first looked at.

    ``scope["path"]`` is the path below the route prefix and ``scope["root_path"]`` the prefix; ``url`` is the whole.
    """

    def __init__(self, wire: bytes, items: AsyncIterator[bytes] | None) -> None:
        # Request.__init__ wants a scope, which is made later: __getattr__ meets the first look at any of its fields.
        self._wire = wire
        self._items = items
        self._read_bytes = 0
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        if name not in _DECODED_FIELDS or "scope" in self.__dict__:
            raise AttributeError(name)
        self._decode()
        return getattr(self, name)

    def _decode(self) -> None:
        message = HttpRequest.FromString(self._wire)
        super().__init__(_scope_of(message), self._next_message)
        self._whole_path = message.root_path + message.path
        self._max_body_bytes = message.max_body_bytes
        if not message.body_follows:
            self._body = message.body

    @property
    def url(self) -> URL:
        """The URL as the client asked for it, route prefix included."""
        if not hasattr(self, "_url"):
            self._url = URL(scope={**self.scope, "path": self._whole_path})
        return self._url

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of body that are read before :class:`mesh.errors.PayloadTooLarge` is raised."""
        return self._max_body_bytes if self.scope else 0

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces; a body that is being read to be handed on is waited for, not read twice."""
        reading = self.__dict__.get(_READING)
        if reading is not None:
            await asyncio.shield(reading)
        async for piece in super().stream():
            yield piece

    async def is_disconnected(self) -> bool:
        """Whether nobody waits for the answer any more. Unlike Starlette's, it takes nothing from the body."""
        request = current.get()
        return request is not None and request.cancelled

    def __reduce__(self) -> tuple[Any, ...]:
        return _reduce_request(self)

    async def _next_message(self) -> Message:
        if self._ended:
            await asyncio.get_running_loop().create_future()  # who is gone cancels the call, and this wait with it
        if self._items is None:
            self._ended = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        try:
            piece = await anext(self._items)
        except StopAsyncIteration:
            self._ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        self._read_bytes += len(piece)
        if self._read_bytes > self._max_body_bytes:
            raise too_large(self._max_body_bytes)
        return {"type": "http.request", "body": piece, "more_body": True}


def check_request(connection: HTTPConnection) -> None:
    """Raise :class:`mesh.errors.PayloadError` when ``connection`` cannot be handed on to another deployment."""
    if not isinstance(connection, Request):
        raise PayloadError(
            f"a {type(connection).__name__} cannot be handed on to another deployment; "
            "read it here and pass on what it said"
        )
    if hasattr(connection, "_body") or _READING in connection.__dict__:
        return
    if connection._stream_consumed or (isinstance(connection, WireRequest) and connection._read_bytes):
        raise PayloadError(
            "the body of this request was read as a stream or a form and is gone, so the request cannot be handed on; "
            "call `await request.body()` first, or pass on what was read"
        )


def _reduce_request(connection: HTTPConnection) -> tuple[Any, ...]:
    check_request(connection)
    return attached_value, (attach(connection),)


copyreg.pickle(Request, _reduce_request)
copyreg.pickle(WebSocket, _reduce_request)
register_decoder(HTTP_REQUEST, decode_request)


async def request_payload(request: Request) -> bytes:
    """``request`` as a serialized ``HttpRequest`` with its whole body, which can still be read here afterwards.

    Any Starlette request will do. Raises :class:`mesh.errors.PayloadError` when the body is gone, and
    :class:`mesh.errors.PayloadTooLarge` when it is over ``max_body_bytes``.
    """
    check_request(request)
    if isinstance(request, WireRequest) and request._items is None:
        return request._wire
    reading = request.__dict__.get(_READING)
    if reading is None:
        reading = asyncio.ensure_future(_read_whole(request))
        reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        request.__dict__[_READING] = reading
    wire: bytes = await asyncio.shield(reading)
    return wire


async def _read_whole(request: Request) -> bytes:
    limit_bytes = request.max_body_bytes if isinstance(request, WireRequest) else DeploymentConfig().max_body_bytes
    pieces: list[bytes] = []
    size_bytes = 0
    async for piece in Request.stream(request):
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)
    body = request._body = b"".join(pieces)
    scope = request.scope
    root_path = scope.get("root_path", "")
    if not scope["path"].startswith(root_path):
        scope = {**scope, "path": root_path + scope["path"]}
    return encode_request(scope, root_path, body, body_follows=False, max_body_bytes=limit_bytes)


def too_large(limit_bytes: int) -> PayloadTooLarge:
    """The error for a body over ``limit_bytes``."""
    return PayloadTooLarge(f"the request's body is over the limit of {limit_bytes} bytes (max_body_bytes)")


def _scope_of(message: HttpRequest) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": message.http_version,
        "method": message.method,
        "scheme": message.scheme,
        "path": message.path or "/",
        "raw_path": message.raw_path,
        "query_string": message.query_string,
        "root_path": message.root_path,
        "headers": list(zip(message.header_names, message.header_values, strict=True)),
        "client": (message.client_host, message.client_port) if message.client_host else None,
        "server": (message.server_host, message.server_port) if message.server_host else None,
        "extensions": {},
    }


# Answers


def encode_answer(value: object) -> bytes | Response:
    """What a user's method returned, as a serialized ``HttpResponse``.

    None gives an empty text, str a text, bytes themselves, a Starlette Response itself, a generator a stream, and
    anything else JSON. A Response that streams or that has a background task is returned: run it with
    :func:`run_response`. Raises :class:`mesh.errors.PayloadError` for what cannot be an answer.
    """
    if isinstance(value, str):
        return encode_whole(200, _TEXT, value.encode())
    if isinstance(value, Response):
        return encode_response(value) if _is_plain(value) and value.background is None else value
    if value is None:
        return encode_whole(200, _TEXT, b"")
    if isinstance(value, bytes | bytearray | memoryview):
        return encode_whole(200, _BYTES, bytes(value))
    if isinstance(value, AsyncGeneratorType | GeneratorType):
        return stream_answer(value)
    return encode_whole(200, _JSON, encode_json(value))


def json_answer(value: object) -> Response:
    """The answer of a driver: a Response as it is, anything else as JSON, also str, bytes and None."""
    return value if isinstance(value, Response) else Response(encode_json(value), media_type="application/json")


def stream_answer(items: AsyncIterable[object] | Generator[object, None, None]) -> StreamingResponse:
    """The answer of a generator: str and bytes as they come, anything else as one line of JSON each."""
    pieces = _async_pieces(items) if isinstance(items, AsyncIterable) else (_piece(item) for item in items)
    return StreamingResponse(pieces, media_type="text/plain")


def encode_response(response: Response) -> bytes:
    """A serialized ``HttpResponse`` for a Response whose body is at hand."""
    return _encode_head(response.status_code, response.raw_headers, bytes(response.body), body_follows=False)


def encode_whole(status: int, content_type: bytes, body: bytes) -> bytes:
    """A serialized ``HttpResponse`` that needs no Response object."""
    return HttpResponse(
        status=status,
        header_names=_USUAL_NAMES,
        header_values=(b"%d" % len(body), content_type),
        body=body,
    ).SerializeToString()


async def run_response(response: Response, request: Request | None = None) -> AsyncGenerator[bytes, None]:
    """Run ``response`` as the ASGI application that it is, as the answer to ``request``.

    Gives first a serialized ``HttpResponse``, then, when its ``body_follows``, the pieces of the body and an empty
    piece where the body ends. What runs after that is background work, and the call lasts until it is done.
    Close the generator to cancel.
    """
    if _is_plain(response):
        yield encode_response(response)
        if response.background is not None:
            await response.background()
        return
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    room = asyncio.Semaphore(_PIECES_AHEAD)

    async def send(message: Message) -> None:
        await room.acquire()
        if message["type"] == "http.response.start":
            head = _encode_head(message["status"], message.get("headers", ()), b"", body_follows=True)
            pieces.put_nowait(head)
            return
        if piece := bytes(message.get("body", b"")):
            pieces.put_nowait(piece)
        else:
            room.release()
        if not message.get("more_body", False):
            pieces.put_nowait(b"")

    scope = {**(request or empty_request()).scope, "asgi": _ASGI, "extensions": {}}
    running = asyncio.ensure_future(response(scope, _never, send))
    running.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (next_piece := await pieces.get()) is not None:
            room.release()
            yield next_piece
        await running
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait((running,))


def decode_response(wire: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """Status, headers, body, and whether the body follows instead, of a serialized ``HttpResponse``."""
    message = HttpResponse.FromString(wire)
    headers = list(zip(message.header_names, message.header_values, strict=True))
    return message.status, headers, message.body, message.body_follows


def _is_plain(response: Response) -> bool:
    return type(response).__call__ is Response.__call__


def _encode_head(status: int, headers: Any, body: bytes, *, body_follows: bool) -> bytes:
    names = [bytes(name) for name, _ in headers]
    values = [bytes(value) for _, value in headers]
    if _FORBIDDEN.search(b"".join(values)) or _FORBIDDEN.search(b"".join(names)):
        raise PayloadError(f"a header of the response has a control character in it: {list(headers)!r}")
    if not 200 <= status <= 599:
        raise PayloadError(f"the response's status is {status}; an answer has one between 200 and 599")
    return HttpResponse(
        status=status, header_names=names, header_values=values, body=body, body_follows=body_follows
    ).SerializeToString()


def _piece(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    return encode_json(item) + b"\n"


async def _async_pieces(items: AsyncIterable[object]) -> AsyncGenerator[bytes, None]:
    async for item in items:
        yield _piece(item)


async def _never() -> Message:
    """No message ever comes: who is gone cancels the call instead."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


_TEXT: Final = b"text/plain; charset=utf-8"
_BYTES: Final = b"application/octet-stream"
_JSON: Final = b"application/json"
_USUAL_NAMES: Final = (b"content-length", b"content-type")
_PIECES_AHEAD: Final = 2
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ASGI: Final = {"version": "3.0", "spec_version": "2.4"}
_READING: Final = "_mesh_reading"
_DECODED_FIELDS: Final = frozenset(
    ("scope", "_receive", "_send", "_stream_consumed", "_is_disconnected", "_form", "_body")
)
_EMPTY_REQUEST: Final = HttpRequest(
    method="GET", scheme="http", http_version="1.1", path="/", raw_path=b"/"
).SerializeToString()
