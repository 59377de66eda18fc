"""Requests on the wire: what user code reads, what is handed on, what is refused."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.websockets import WebSocket

from mesh import payload
from mesh.context import RequestContext, current
from mesh.errors import PayloadError, PayloadTooLarge
from mesh.http import WireRequest, claim_request, decode_request, empty_request, encode_request, request_payload

LIMIT_BYTES = 1000


def scope_of(path: str, **changes: Any) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"name=Ada&x=%C3%A4",
        "root_path": "",
        "headers": [
            (b"host", b"example.org:8000"),
            (b"cookie", b"session=s3; theme=dark"),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"x-twice", b"1"),
            (b"x-twice", b"2"),
        ],
        "client": ("10.0.0.9", 4711),
        "server": ("127.0.0.1", 8000),
    }
    return {**scope, **changes}


def wire_request(path: str = "/shop/cart", prefix: str = "/shop", body: bytes = b"", **changes: Any) -> WireRequest:
    scope = scope_of(path, **changes)
    return decode_request(encode_request(scope, prefix, body, body_follows=False, max_body_bytes=LIMIT_BYTES))


class Pieces:
    """A body that comes in pieces; ``taken`` counts those that were read."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)
        self.taken = 0
        self.begun = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)  # others run in between
        if self.taken == len(self._pieces):
            raise StopAsyncIteration
        self.taken += 1
        self.begun.set()
        return self._pieces[self.taken - 1]


def streamed_request(*pieces: bytes) -> WireRequest:
    wire = encode_request(scope_of("/x"), "", b"", body_follows=True, max_body_bytes=LIMIT_BYTES)
    return decode_request(wire, Pieces(*pieces))


def foreign_request(body: bytes, asked: str = "/x", **changes: Any) -> Request:
    """A request as a web framework of the user's makes it."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return messages.pop()

    return Request(scope_of(asked, **changes), receive)


async def test_user_code_reads_everything_that_the_client_sent() -> None:
    request = wire_request(body=b"a=1&b=2")
    assert isinstance(request, Request)
    assert request.method == "POST"
    assert dict(request.query_params) == {"name": "Ada", "x": "ä"}
    assert request.headers.getlist("x-twice") == ["1", "2"]
    assert request.cookies == {"session": "s3", "theme": "dark"}
    assert request.client == ("10.0.0.9", 4711)
    assert request["raw_path"] == b"/shop/cart"
    assert await request.body() == b"a=1&b=2"
    assert dict(await request.form()) == {"a": "1", "b": "2"}
    assert b"".join([piece async for piece in request.stream()]) == b"a=1&b=2"


@pytest.mark.parametrize(
    ("asked", "prefix", "path", "root_path"),
    [
        pytest.param("/shop/cart", "/shop", "/cart", "/shop", id="below a prefix"),
        pytest.param("/shop", "/shop", "/", "/shop", id="the prefix itself"),
        pytest.param("/shop/", "/shop", "/", "/shop", id="the prefix with a slash"),
        pytest.param("/shop/shop/x", "/shop", "/shop/x", "/shop", id="a path that repeats the prefix"),
        pytest.param("/cart", "", "/cart", "", id="the root"),
    ],
)
async def test_the_prefix_moves_to_root_path_and_the_url_stays_whole(
    asked: str, prefix: str, path: str, root_path: str
) -> None:
    for request in (
        wire_request(asked, prefix),
        decode_request(await request_payload(streamed_from(asked, prefix))),
    ):
        assert (request["path"], request["root_path"]) == (path, root_path)
        assert request.url.path == asked
        assert str(request.base_url) == f"http://example.org:8000{root_path}/"


def streamed_from(asked: str, prefix: str) -> WireRequest:
    wire = encode_request(scope_of(asked), prefix, b"", body_follows=True, max_body_bytes=LIMIT_BYTES)
    return decode_request(wire, Pieces(b"x"))


def test_nothing_is_decoded_before_somebody_looks() -> None:
    request = decode_request(b"\xff not a message")
    assert not hasattr(request, "_headers")
    with pytest.raises(Exception, match="parsing"):
        _ = request.method


def test_a_scope_without_peers_has_none() -> None:
    request = wire_request(client=None, server=None, headers=[])
    assert request.client is None
    assert str(request.url) == "/shop/cart?name=Ada&x=%C3%A4"


async def test_an_empty_request_is_a_get_without_anything() -> None:
    request = empty_request()
    assert (request.method, request.url.path, dict(request.query_params)) == ("GET", "/", {})
    assert await request.body() == b""


async def test_a_body_that_follows_is_read_piece_by_piece() -> None:
    request = streamed_request(b"one", b"two")
    stream = request.stream()
    assert await anext(stream) == b"one"
    assert request._items.taken == 1  # type: ignore[union-attr]
    assert [piece async for piece in stream if piece] == [b"two"]


async def test_a_body_over_the_limit_is_refused_while_it_is_read() -> None:
    with pytest.raises(PayloadTooLarge, match="limit of 1000 bytes"):
        await streamed_request(b"x" * 600, b"x" * 600).body()


async def test_a_wait_for_the_body_that_is_cancelled_loses_nothing() -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    class Slow(Pieces):
        async def __anext__(self) -> bytes:
            if piece := await pieces.get():
                return piece
            raise StopAsyncIteration

    wire = encode_request(scope_of("/x"), "", b"", body_follows=True, max_body_bytes=LIMIT_BYTES)
    request = decode_request(wire, Slow())
    waiting = asyncio.ensure_future(request._receive())
    await asyncio.sleep(0)
    waiting.cancel()
    pieces.put_nowait(b"whole")
    pieces.put_nowait(b"")
    assert await request.body() == b"whole"


async def test_a_client_that_left_is_told_by_the_context_and_not_by_the_body() -> None:
    request = streamed_request(b"body")
    context = RequestContext("1")
    current.set(context)
    assert not await request.is_disconnected()
    context.cancelled = True
    assert await request.is_disconnected()
    assert await request.body() == b"body"


# Handing on


async def test_a_request_that_was_never_looked_at_is_handed_on_as_the_bytes_it_came_in() -> None:
    request = wire_request(body=b"body")
    assert await request_payload(request) is request._wire


@pytest.mark.parametrize(
    "request_of",
    [
        pytest.param(lambda: wire_request(body=b"a=1"), id="with its body at hand"),
        pytest.param(lambda: streamed_request(b"a=", b"1"), id="with a body that follows"),
        pytest.param(lambda: foreign_request(b"a=1"), id="of another framework"),
    ],
)
async def test_a_request_is_read_there_and_still_here(request_of: Any) -> None:
    request = request_of()
    wires = await asyncio.gather(request_payload(request), request_payload(request))
    assert wires[0] == wires[1]
    there = decode_request(wires[0])
    assert dict(there.query_params) == {"name": "Ada", "x": "ä"}
    assert (await there.body(), await request.body()) == (b"a=1", b"a=1")
    assert dict(await there.form()) == {"a": "1"}
    assert await request_payload(there) == wires[0]


async def test_reading_while_it_is_handed_on_reads_it_once() -> None:
    request = streamed_request(b"one", b"two")
    wire, body = await asyncio.gather(request_payload(request), request.body())
    assert body == b"onetwo" == await decode_request(wire).body()


@pytest.mark.parametrize("read", [Request.body, Request.form], ids=["body", "form"])
async def test_reading_right_after_it_was_handed_on_reads_it_once(read: Any) -> None:
    request = streamed_request(b"a=", b"1")
    claim_request(request)
    handed_on = asyncio.ensure_future(request_payload(request))  # not begun when the next line reads
    await getattr(request, read.__name__)()
    assert await request.body() == b"a=1" == await decode_request(await handed_on).body()


async def test_any_number_may_ask_for_the_body_at_once() -> None:
    request = streamed_request(b"one", b"two")
    assert await asyncio.gather(request.body(), request.body()) == [b"onetwo", b"onetwo"]


async def test_a_reading_that_nobody_waits_for_stops_and_goes_on_later() -> None:
    request = streamed_request(b"one", b"two", b"three")
    waiting = asyncio.ensure_future(request_payload(request))
    await request._items.begun.wait()  # type: ignore[union-attr]
    waiting.cancel()
    await asyncio.wait((waiting,))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert request._items.taken < 3  # type: ignore[union-attr]
    assert await request.body() == b"onetwothree"


async def test_one_who_stops_waiting_does_not_stop_the_other() -> None:
    request = streamed_request(b"one", b"two")
    first = asyncio.ensure_future(request_payload(request))
    second = asyncio.ensure_future(request_payload(request))
    await asyncio.sleep(0)
    first.cancel()
    assert await decode_request(await second).body() == b"onetwo"


async def test_a_mounted_application_hands_on_its_whole_path() -> None:
    request = foreign_request(b"", "/mount/x", root_path="/mount")
    there = decode_request(await request_payload(request))
    assert (there["path"], there["root_path"], there.url.path) == ("/x", "/mount", "/mount/x")


async def test_a_body_that_is_gone_cannot_be_handed_on() -> None:
    streamed, read_as_form, begun = streamed_request(b"x"), foreign_request(b"a=1"), streamed_request(b"x", b"y")
    async for _ in streamed.stream():
        pass
    await read_as_form.form()
    await anext(begun.stream())
    for request in (streamed, read_as_form, begun):
        with pytest.raises(PayloadError, match="read as a stream or a form and is gone"):
            claim_request(request)
        with pytest.raises(PayloadError, match="is gone"):
            await request_payload(request)


async def test_a_body_that_is_at_hand_can_be_handed_on_however_it_was_read() -> None:
    request = wire_request(body=b"a=1")
    await request.form()
    async for _ in request.stream():
        pass
    assert await decode_request(await request_payload(request)).body() == b"a=1"


async def test_a_body_over_the_limit_is_not_handed_on() -> None:
    with pytest.raises(PayloadTooLarge):
        await request_payload(streamed_request(b"x" * 1001))


def test_a_websocket_cannot_be_handed_on() -> None:
    async def never() -> Any: ...

    socket = WebSocket({"type": "websocket", "path": "/"}, never, never)
    with pytest.raises(PayloadError, match="WebSocket cannot be handed on"):
        claim_request(socket)


@pytest.mark.parametrize("kind", ["wire", "foreign"])
async def test_a_request_inside_a_value_travels_beside_it(kind: str) -> None:
    request = wire_request(body=b"body") if kind == "wire" else foreign_request(b"body")
    encoded = payload.encode_call(({"nested": [request]},), {}, ())
    assert encoded.attached == [request]
    wire = payload.Payload(payload.HTTP_REQUEST, await request_payload(request))
    (value,), _ = payload.decode(encoded.with_payloads([wire]))
    assert await value["nested"][0].body() == b"body"


def test_a_request_is_no_ordinary_pickle() -> None:
    with pytest.raises(TypeError, match="WireRequest can only be pickled as an argument"):
        pickle.dumps(wire_request())
