"""HTTP requests as they travel from the bridge to the replicas and between them.

The bridge turns an ASGI scope into bytes with :func:`encode_request`. A replica hands them to the user's code as a
:class:`WireRequest`, a ``starlette.requests.Request`` that is decoded when it is first looked at, and that is handed on
to another deployment as the bytes it came in. The way back is :mod:`mesh.answers`.
"""

from __future__ import annotations

import asyncio
import copyreg
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from starlette.datastructures import URL
from starlette.requests import HTTPConnection, Request
from starlette.types import Message
from starlette.websockets import WebSocket

from mesh.config import DeploymentConfig
from mesh.context import current
from mesh.errors import PayloadError, PayloadTooLarge
from mesh.payload import HTTP_REQUEST, attach, attached_value, register_decoder
from mesh.v1.http_pb2 import HttpRequest


def encode_request(
    scope: Mapping[str, Any], prefix: str, body: bytes, *, body_follows: bool, max_body_bytes: int
) -> bytes:
    """A serialized ``HttpRequest`` for an ASGI scope whose path starts with ``prefix`` ("" for the root).

    With ``body_follows`` the body comes later, in items; ``max_body_bytes`` is how much of it a reader takes.
    """
    path = scope["path"]
    headers = scope["headers"]
    request = HttpRequest(
        method=scope["method"],
        path=path[len(prefix) :] if prefix else path,
        raw_path=scope.get("raw_path") or quote(path).encode(),
        query_string=scope.get("query_string") or b"",
        header_names=[name for name, _ in headers],
        header_values=[value for _, value in headers],
        body=body,
        body_follows=body_follows,
    )
    scheme, version = scope.get("scheme") or "http", scope.get("http_version") or "1.1"
    client, server = tuple(scope.get("client") or ()), tuple(scope.get("server") or ())
    return request.SerializeToString() + _connection_part(scheme, version, client, server, prefix, max_body_bytes)


@lru_cache(maxsize=4096)
def _connection_part(
    scheme: str,
    http_version: str,
    client: tuple[Any, ...],
    server: tuple[Any, ...],
    prefix: str,
    max_body_bytes: int,
) -> bytes:
    """What is the same in all requests of a connection: one serialized message behind another is the two as one."""
    client_host, client_port = client or ("", 0)
    server_host, server_port = server or ("", 0)
    return HttpRequest(
        scheme=scheme,
        http_version=http_version,
        root_path=prefix,
        client_host=client_host,
        client_port=client_port or 0,
        server_host=server_host,
        server_port=server_port or 0,
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
        self._is_streamed = False

    def __getattr__(self, name: str) -> Any:
        if name not in _DECODED_FIELDS or "scope" in self.__dict__:
            raise AttributeError(name)
        self._decode()
        return getattr(self, name)

    def _decode(self) -> None:
        message = HttpRequest.FromString(self._wire)
        super().__init__(scope_of(message), _Receive(self._items, message.body, message.max_body_bytes))
        self.whole_path = message.root_path + message.path
        self._max_body_bytes = message.max_body_bytes
        if not message.body_follows:
            self._body = message.body

    @property
    def url(self) -> URL:
        """The URL as the client asked for it, route prefix included."""
        if not hasattr(self, "_url"):
            self._url = URL(scope={**self.scope, "path": self.whole_path})
        return self._url

    @property
    def max_body_bytes(self) -> int:
        """The most bytes of body that are read before :class:`mesh.errors.PayloadTooLarge` is raised."""
        assert self.scope is not None  # looking at it decodes
        return self._max_body_bytes

    @property
    def _follows(self) -> bool:
        return self._items is not None and not hasattr(self, "_body")

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces; of a request that is handed on it is read whole first, for both readers."""
        if self._follows:
            if _WHOLE_BODY in self.__dict__:
                await self.__dict__[_WHOLE_BODY].wait()
            else:
                self._is_streamed = True
        async for piece in super().stream():
            yield piece

    async def body(self) -> bytes:
        """The whole body. Any number may ask for it at once, also while the request is handed on."""
        if self._follows and not self._is_streamed:
            await _whole_body_of(self).wait()
        return await super().body()

    async def is_disconnected(self) -> bool:
        """Whether nobody waits for the answer any more. Unlike Starlette's, it takes nothing from the body."""
        request = current.get()
        return request is not None and request.cancelled

    def __reduce__(self) -> tuple[Any, ...]:
        return _reduce_request(self)


class _Receive:
    """ASGI's ``receive`` for a request, which it does not know: a ring of the two would be left to the collector."""

    __slots__ = ("_body", "_ended", "_items", "_max_body_bytes", "_read_bytes")

    def __init__(self, items: AsyncIterator[bytes] | None, body: bytes, max_body_bytes: int) -> None:
        self._items = items
        self._body = body
        self._max_body_bytes = max_body_bytes
        self._read_bytes = 0
        self._ended = False

    async def __call__(self) -> Message:
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


def claim_request(connection: HTTPConnection) -> None:
    """Say that ``connection`` will be handed on to another deployment, whoever else reads it from now on.

    Raises :class:`mesh.errors.PayloadError` when that cannot be: it is a WebSocket, or its body is gone.
    """
    if not isinstance(connection, Request):
        raise PayloadError(
            f"a {type(connection).__name__} cannot be handed on to another deployment; "
            "read it here and pass on what it said"
        )
    if hasattr(connection, "_body") or _WHOLE_BODY in connection.__dict__:
        return
    if connection._stream_consumed or (isinstance(connection, WireRequest) and connection._is_streamed):
        raise PayloadError(
            "the body of this request was read as a stream or a form and is gone, so the request cannot be handed on; "
            "call `await request.body()` first, or pass on what was read"
        )
    _whole_body_of(connection)


async def request_payload(request: Request) -> bytes:
    """``request`` as a serialized ``HttpRequest`` with its whole body, which can still be read here afterwards.

    Any Starlette request will do. Raises :class:`mesh.errors.PayloadError` when the body is gone, and
    :class:`mesh.errors.PayloadTooLarge` when it is over ``max_body_bytes``.
    """
    claim_request(request)
    if isinstance(request, WireRequest) and request._items is None:
        return request._wire
    if not hasattr(request, "_body"):
        await _whole_body_of(request).wait()
    scope = request.scope
    root_path = scope.get("root_path", "")
    if isinstance(request, WireRequest):
        scope = {**scope, "path": request.whole_path}
    elif not scope["path"].startswith(root_path):
        scope = {**scope, "path": root_path + scope["path"]}
    limit_bytes = _limit_bytes(request)
    return encode_request(scope, root_path, request._body, body_follows=False, max_body_bytes=limit_bytes)


class _WholeBody:
    """The one reading of a body that any number wait for. It stops when nobody does, and goes on where it stopped."""

    __slots__ = ("_pieces", "_request", "_task", "_waiters")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self._task: asyncio.Future[None] | None = None
        self._waiters = 0

    async def wait(self) -> None:
        """Wait until ``request._body`` is there."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._read())
        self._waiters += 1
        try:
            await asyncio.shield(self._task)
        finally:
            self._waiters -= 1
            if not self._waiters and self._task is not None and not self._task.done():
                self._task.cancel()
                self._task = None

    async def _read(self) -> None:
        limit_bytes = _limit_bytes(self._request)
        size_bytes = sum(map(len, self._pieces))
        async for piece in Request.stream(self._request):
            self._pieces.append(piece)
            size_bytes += len(piece)
            if size_bytes > limit_bytes:
                raise too_large(limit_bytes)
        self._request._body = b"".join(self._pieces)


def _whole_body_of(request: Request) -> _WholeBody:
    whole: _WholeBody = request.__dict__.setdefault(_WHOLE_BODY, _WholeBody(request))
    return whole


def _limit_bytes(request: Request) -> int:
    return request.max_body_bytes if isinstance(request, WireRequest) else DeploymentConfig().max_body_bytes


def _reduce_request(connection: HTTPConnection) -> tuple[Any, ...]:
    claim_request(connection)
    return attached_value, (attach(connection),)


copyreg.pickle(Request, _reduce_request)
copyreg.pickle(WebSocket, _reduce_request)
register_decoder(HTTP_REQUEST, decode_request)


def too_large(limit_bytes: int) -> PayloadTooLarge:
    """The error for a body over ``limit_bytes``."""
    return PayloadTooLarge(f"the request's body is over the limit of {limit_bytes} bytes (max_body_bytes)")


def scope_of(message: HttpRequest) -> dict[str, Any]:
    """The ASGI scope of a request, its path below the route prefix."""
    return {
        "type": "http",
        "asgi": ASGI_VERSION,
        "http_version": message.http_version,
        "method": message.method,
        "scheme": message.scheme,
        "path": message.path or "/",
        "raw_path": message.raw_path,
        "query_string": message.query_string,
        "root_path": message.root_path,
        "headers": list(zip(message.header_names[:], message.header_values[:], strict=True)),
        "client": (message.client_host, message.client_port) if message.client_host else None,
        "server": (message.server_host, message.server_port) if message.server_host else None,
        "extensions": {},
    }


ASGI_VERSION: Final = {"version": "3.0", "spec_version": "2.4"}
"""What every ASGI scope of ours says of itself; from 2.4 on Starlette needs no task that listens for the client."""

_WHOLE_BODY: Final = "_mesh_whole_body"
_DECODED_FIELDS: Final = frozenset(
    ("scope", "_receive", "_send", "_stream_consumed", "_is_disconnected", "_form", "_body", "whole_path")
)
_EMPTY_REQUEST: Final = HttpRequest(
    method="GET", scheme="http", http_version="1.1", path="/", raw_path=b"/"
).SerializeToString()
