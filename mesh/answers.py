"""What a deployment returns as an HTTP response on its way back to the bridge.

:func:`answer_of` turns a value into bytes. An answer that comes in pieces, or has work to do after it, is a Starlette
Response that :func:`run_response` runs as the ASGI application that it is; its output is what travels.
"""

from __future__ import annotations

import asyncio
import copyreg
import re
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Message

from mesh.errors import PayloadError
from mesh.http import ASGI_VERSION, empty_request
from mesh.json_encoding import NotReady, encode_json
from mesh.payload import Attachable, AttachableItems
from mesh.v1.http_pb2 import HttpResponse


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
    if isinstance(value, AsyncGeneratorType | GeneratorType | AttachableItems):
        return stream_answer(value)  # type: ignore[arg-type] # of items there is one kind, which mesh.response knows
    return encode_whole(200, _JSON, encode_json(value))


async def answer_of(value: Any) -> bytes | Response:
    """As :func:`encode_answer`, for a value that may be, or mention, calls that have not ended: they are awaited."""
    if isinstance(value, Attachable):
        value = await value.value()  # type: ignore[attr-defined] # a ref or a response, which mesh.handle knows
    while True:
        try:
            return encode_answer(value)
        except NotReady as unready:
            await unready.ref.value()


async def json_answer(value: object) -> Response:
    """The answer of a driver: a Response as it is, anything else as JSON, also str, bytes and None.

    A stream is one line of JSON for each item.
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, AttachableItems):
        return StreamingResponse(_json_lines(value), media_type="application/x-ndjson")
    return Response(await _json_of(value), media_type="application/json")


async def _json_of(value: object) -> bytes:
    """The value as JSON; calls in it that have not ended are awaited."""
    while True:
        try:
            return encode_json(value)
        except NotReady as unready:
            await unready.ref.value()


def stream_answer(items: AsyncIterable[object] | Generator[object, None, None]) -> StreamingResponse:
    """The answer of a generator: str and bytes as they come, anything else as one line of JSON each."""
    pieces = _async_pieces(items) if isinstance(items, AsyncIterable) else (_piece(item) for item in items)
    return StreamingResponse(pieces, media_type="text/plain")


def encode_response(response: Response) -> bytes:
    """A serialized ``HttpResponse`` for a Response whose body is at hand."""
    return _encode_head(response.status_code, response.raw_headers, bytes(response.body), body_follows=False)


def encode_refusal(refusal: HTTPException) -> bytes:
    """A serialized ``HttpResponse`` for an exception that says itself what answer it wants to be."""
    return encode_response(PlainTextResponse(refusal.detail, refusal.status_code, refusal.headers))


def encode_whole(status: int, content_type: bytes, body: bytes) -> bytes:
    """A serialized ``HttpResponse`` that needs no Response object."""
    return HttpResponse(
        status=status,
        header_names=_USUAL_NAMES,
        header_values=(b"%d" % len(body), content_type),
        body=body,
    ).SerializeToString()


async def run_response(response: Response, request: Request | None, give: Callable[[bytes], Awaitable[None]]) -> None:
    """Run ``response`` as the ASGI application that it is, as the answer to ``request``.

    Gives first a serialized ``HttpResponse``, then, when its ``body_follows``, the pieces of the body and an empty
    piece where the body ends. What runs after that is background work, and the call lasts until it is done.
    ``give`` holds the response up while the reader has not taken enough.
    """
    if _is_plain(response):
        await give(encode_response(response))
        if response.background is not None:
            await response.background()
        return

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            await give(_encode_head(message["status"], message.get("headers", ()), b"", body_follows=True))
            return
        if piece := bytes(message.get("body", b"")):
            await give(piece)
        if not message.get("more_body", False):
            await give(b"")

    try:
        await response({**(request or empty_request()).scope, "asgi": ASGI_VERSION, "extensions": {}}, _never, send)
    finally:
        # Cancelled while it sends, the response leaves its generator where it is: the user's code has to end now.
        await _close(getattr(response, "body_iterator", None))


def decode_response(wire: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """Status, headers, body, and whether the body follows instead, of a serialized ``HttpResponse``."""
    message = HttpResponse.FromString(wire)
    headers = list(zip(message.header_names[:], message.header_values[:], strict=True))  # slices are read faster
    return message.status, headers, message.body, message.body_follows


def _refuse_to_pickle(response: Response) -> NoReturn:
    raise TypeError("it can only answer an HTTP request itself: a call by handle has to return what it would stream")


copyreg.pickle(StreamingResponse, _refuse_to_pickle)


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
    try:
        async for item in items:
            yield _piece(item)
    finally:
        await _close(items)


async def _json_lines(items: Any) -> AsyncGenerator[bytes, None]:
    try:
        async for item in items:
            yield await _json_of(item) + b"\n"
    finally:
        await _close(items)


async def _close(items: object) -> None:
    """End a generator, if it is an asynchronous one, wherever it is."""
    if (aclose := getattr(items, "aclose", None)) is not None:
        await aclose()


async def _never() -> Message:
    """No message ever comes: who is gone cancels the call instead."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable")


_TEXT: Final = b"text/plain; charset=utf-8"
_BYTES: Final = b"application/octet-stream"
_JSON: Final = b"application/json"
_USUAL_NAMES: Final = (b"content-length", b"content-type")
_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
