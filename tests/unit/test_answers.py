"""What a deployment returns, as the HTTP response that comes of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from starlette.background import BackgroundTask
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.types import Receive, Scope, Send

from mesh.answers import answer_of, decode_response, encode_answer, json_answer, run_response
from mesh.errors import PayloadError
from mesh.http import decode_request, encode_request
from mesh.payload import Attachable, encode_result

TEXT = "text/plain; charset=utf-8"


def whole(value: object) -> tuple[int, dict[str, str], bytes]:
    answer = encode_answer(value)
    assert isinstance(answer, bytes)
    status, headers, body, body_follows = decode_response(answer)
    assert not body_follows
    return status, {name.decode(): content.decode() for name, content in headers}, body


class FakeRef(Attachable):
    """A call that ends when it is awaited."""

    def __init__(self, outcome: object, *, ended: bool = False) -> None:
        self._outcome = outcome
        self._ended = ended

    def done(self) -> bool:
        return self._ended

    def result(self) -> object:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def value(self) -> object:
        await asyncio.sleep(0)
        self._ended = True
        return self.result()


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        pytest.param(None, TEXT, b"", id="None is an empty text"),
        pytest.param("grüß dich", TEXT, "grüß dich".encode(), id="str is text without quotes"),
        pytest.param(b"\x00\xff", "application/octet-stream", b"\x00\xff", id="bytes are themselves"),
        pytest.param(bytearray(b"ab"), "application/octet-stream", b"ab", id="a bytearray is bytes"),
        pytest.param({"a": [1, None]}, "application/json", b'{"a":[1,null]}', id="anything else is JSON"),
        pytest.param(7, "application/json", b"7", id="a number is JSON"),
    ],
)
def test_a_value_becomes_a_response(value: object, content_type: str, body: bytes) -> None:
    assert whole(value) == (200, {"content-type": content_type, "content-length": str(len(body))}, body)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(PlainTextResponse("tea", 418, {"X-Pot": "1"}), id="with status and header"),
        pytest.param(HTMLResponse("<p>"), id="HTML"),
        pytest.param(JSONResponse({"a": 1}), id="JSON"),
        pytest.param(RedirectResponse("/there"), id="redirect"),
        pytest.param(Response(status_code=204), id="without content"),
    ],
)
def test_a_response_stays_as_it_is(response: Response) -> None:
    headers = {name.decode(): value.decode() for name, value in response.raw_headers}
    assert whole(response) == (response.status_code, headers, response.body)


def test_cookies_keep_their_lines() -> None:
    response = Response()
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    answer = encode_answer(response)
    assert isinstance(answer, bytes)
    assert [name for name, _ in decode_response(answer)[1]].count(b"set-cookie") == 2


@pytest.mark.parametrize(
    ("response", "message"),
    [
        pytest.param(
            Response(headers={"x-a": "b\r\nset-cookie: c"}), "control character", id="a line break in a header"
        ),
        pytest.param(Response(status_code=99), "status is 99", id="a status that is none"),
    ],
)
def test_a_response_that_no_server_can_send_is_refused(response: Response, message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        encode_answer(response)


def test_what_has_no_form_in_json_is_refused_by_name() -> None:
    with pytest.raises(PayloadError, match="a value of object, cannot be turned into JSON"):
        encode_answer(object())


# Answers that run


async def pieces_of(response: Response, **scope: Any) -> list[bytes]:
    full_scope = {"type": "http", "method": "GET", "path": "/", "headers": [], **scope}
    request = decode_request(encode_request(full_scope, "", b"", body_follows=False, max_body_bytes=1))
    pieces: list[bytes] = []

    async def give(piece: bytes) -> None:
        pieces.append(piece)

    await run_response(response, request, give)
    return pieces


class Answer:
    """A response that runs, whose reader takes one piece at a time."""

    def __init__(self, response: Response) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self.running = asyncio.ensure_future(run_response(response, None, self._pieces.put))

    async def next(self) -> bytes:
        return await self._pieces.get()


def running(value: object) -> Response:
    answer = encode_answer(value)
    assert isinstance(answer, Response)
    return answer


async def test_a_stream_is_a_head_then_pieces_then_an_empty_piece() -> None:
    async def words() -> AsyncGenerator[str, None]:
        yield "one"
        yield ""
        yield "two"

    head, *pieces = await pieces_of(running(StreamingResponse(words(), 201, media_type="text/event-stream")))
    status, headers, body, body_follows = decode_response(head)
    assert (status, body, body_follows) == (201, b"", True)
    assert (b"content-type", b"text/event-stream; charset=utf-8") in headers
    assert pieces == [b"one", b"two", b""]


async def test_the_head_does_not_wait_for_the_first_piece() -> None:
    more = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        await more.wait()
        yield "late"

    answer = Answer(running(StreamingResponse(words())))
    assert decode_response(await answer.next())[3]
    more.set()
    assert [await answer.next(), await answer.next()] == [b"late", b""]
    await answer.running


async def test_a_slow_reader_holds_the_producer() -> None:
    made = 0

    async def numbers() -> AsyncGenerator[bytes, None]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * made

    answer = Answer(running(StreamingResponse(numbers())))
    for _ in range(4):
        await answer.next()
    for _ in range(50):
        await asyncio.sleep(0)
    assert made == 5  # the one in the queue, and the one that waits for room in it
    answer.running.cancel()


async def test_cancelling_the_answer_cancels_the_users_code() -> None:
    ended = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            ended.set()

    answer = Answer(running(StreamingResponse(words())))
    await answer.next()
    await answer.next()
    answer.running.cancel()
    await asyncio.wait((answer.running,))
    assert ended.is_set()


async def test_an_error_on_the_way_comes_out_after_what_was_sent() -> None:
    async def words() -> AsyncGenerator[str, None]:
        yield "one"
        raise ValueError("broken")

    answer = Answer(running(StreamingResponse(words())))
    await answer.next()
    assert await answer.next() == b"one"
    with pytest.raises(ValueError, match="broken"):
        await answer.running


@pytest.mark.parametrize("streams", [True, False], ids=["of a stream", "of a whole response"])
async def test_background_work_runs_after_the_body(streams: bool) -> None:
    happened: list[object] = []

    async def later() -> None:
        happened.append("background")

    task = BackgroundTask(later)
    response = (
        StreamingResponse(iter(["body"]), background=task) if streams else PlainTextResponse("body", background=task)
    )

    async def give(piece: bytes) -> None:
        happened.append(piece)

    await run_response(running(response), None, give)
    assert happened.index("background") == len(happened) - 1 > 0


async def test_a_whole_response_with_background_work_comes_as_one_head() -> None:
    async def later() -> None: ...

    [head] = await pieces_of(running(PlainTextResponse("body", background=BackgroundTask(later))))
    assert decode_response(head)[2:] == (b"body", False)


async def test_a_file_is_sent_and_the_range_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(b"0123456789")
    head, *pieces = await pieces_of(running(FileResponse(tmp_path / "file.txt")))
    assert (decode_response(head)[0], b"".join(pieces)) == (200, b"0123456789")
    head, *pieces = await pieces_of(running(FileResponse(tmp_path / "file.txt")), headers=[(b"range", b"bytes=2-4")])
    assert (decode_response(head)[0], b"".join(pieces)) == (206, b"234")


async def test_a_response_with_a_call_of_its_own_is_run() -> None:
    class Shouting(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await PlainTextResponse(self.body.upper())(scope, receive, send)

    head, *pieces = await pieces_of(running(Shouting("quiet")))
    assert decode_response(head)[0] == 200
    assert pieces == [b"QUIET", b""]


async def _async_items() -> AsyncGenerator[object, None]:
    for item in ("text", b"bytes", {"n": 1}):
        yield item


def _items() -> Generator[object, None, None]:
    yield from ("text", b"bytes", {"n": 1})


@pytest.mark.parametrize("items", [_items, _async_items])
async def test_a_generator_streams(items: Callable[[], Any]) -> None:
    head, *pieces = await pieces_of(running(items()))
    assert (b"content-type", TEXT.encode()) in decode_response(head)[1]
    assert pieces == [b"text", b"bytes", b'{"n":1}\n', b""]


def test_a_stream_is_no_result_of_a_call_by_handle() -> None:
    with pytest.raises(PayloadError, match="StreamingResponse: it can only answer an HTTP request itself"):
        encode_result(StreamingResponse(iter(())), ())


# Refs


async def test_refs_in_an_answer_are_awaited() -> None:
    answer = await answer_of({"sum": [FakeRef(1), {"two": FakeRef({"three": FakeRef(3)})}]})
    assert isinstance(answer, bytes)
    assert json.loads(decode_response(answer)[2]) == {"sum": [1, {"two": {"three": 3}}]}


async def test_an_answer_that_is_a_ref_is_its_value() -> None:
    answer = await answer_of(FakeRef("text"))
    assert isinstance(answer, bytes)
    assert decode_response(answer)[2] == b"text"


@pytest.mark.parametrize("ended", [False, True], ids=["while it is awaited", "before"])
async def test_a_ref_that_failed_raises_what_the_call_raised(ended: bool) -> None:
    with pytest.raises(ValueError, match=r"^the user's$"):
        await answer_of([FakeRef(ValueError("the user's"), ended=ended)])


# Drivers


@pytest.mark.parametrize(
    ("value", "body"),
    [("foo", b'"foo"'), (None, b"null"), (b"foo", b'"foo"'), ([FakeRef(1)], b"[1]")],
    ids=["str is quoted", "None is null", "bytes are text", "refs are awaited"],
)
async def test_through_a_driver_everything_is_json(value: object, body: bytes) -> None:
    response = await json_answer(value)
    assert (response.body, response.media_type) == (body, "application/json")


async def test_through_a_driver_a_response_stays_a_response() -> None:
    response = PlainTextResponse("x")
    assert await json_answer(response) is response


@pytest.mark.parametrize("make", [StreamingResponse, encode_answer], ids=["response", "generator"])
async def test_pieces_are_ended_before_the_response_when_it_is_cancelled_as_it_sends(
    make: Callable[[Any], Any],
) -> None:
    sends, has_ended = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncGenerator[str, None]:
        try:
            yield "piece"
        finally:
            await asyncio.sleep(0)
            has_ended.set()

    async def give(piece: bytes) -> None:
        if piece == b"piece":
            sends.set()
            await asyncio.Event().wait()

    items = pieces()  # held here, so that no collector ends it
    running = asyncio.ensure_future(run_response(make(items), None, give))
    await sends.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert has_ended.is_set()
