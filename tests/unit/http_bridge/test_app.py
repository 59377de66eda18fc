"""The bridge from a request to its answer, with deployments that run in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

from http_bridge import app
from http_bridge.client import INLINE_BODY_BYTES
from mesh.config import DeploymentConfig
from mesh.deadline import left_s
from mesh.errors import RequestRejected
from mesh.v1.endpoint_pb2 import Route

from .conftest import Browser, FakeMesh


async def tell(request: Request) -> dict[str, Any]:
    """What the user's code sees of a request."""
    body = await request.body()
    return {"path": request["path"], "root_path": request["root_path"], "url": str(request.url), "bytes": len(body)}


async def hold(request: Request) -> str:
    """Work that nobody ends."""
    await asyncio.Event().wait()
    return "never"


async def test_a_request_is_answered_by_the_deployment_of_its_prefix(mesh: FakeMesh, browser: Browser) -> None:
    async def say(request: Request) -> str:
        return f"{request['root_path']} says {request['path']}"

    await mesh.serve("/", say)
    await mesh.serve("/a", say)
    await browser.ask("/a/b").end()
    assert (browser.status, browser.body) == (200, b"/a says /b")
    assert browser.headers["content-length"] == "10"
    assert (await Browser(mesh.bridge).ask("/ab").end()).body == b" says /ab"


# The bridge's own pages


async def test_a_path_without_a_deployment_names_the_page_of_routes(mesh: FakeMesh, browser: Browser) -> None:
    await mesh.serve("/a", tell)
    await browser.ask("/b").end()
    assert browser.status == 404
    assert b"'/b'" in browser.body
    assert b"/-/routes" in browser.body


async def test_the_page_of_routes(mesh: FakeMesh, browser: Browser) -> None:
    await mesh.serve("/a", tell)
    await browser.ask("/-/routes").end()
    assert (browser.status, browser.body, browser.headers["content-type"]) == (200, b'{"/a": "/a"}', "application/json")


async def test_it_is_healthy_as_soon_as_it_knows_the_routes(mesh: FakeMesh) -> None:
    early = await Browser(mesh.bridge).ask("/-/healthz").end()
    assert (early.status, early.headers["retry-after"]) == (503, "1")
    await mesh.publish([])
    assert (await Browser(mesh.bridge).ask("/-/healthz").end()).status == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/-/routes", "POST", 405), ("/-/healthz", "DELETE", 405), ("/-/other", "GET", 404)],
)
async def test_its_own_pages_answer_nothing_else(mesh: FakeMesh, path: str, method: str, status: int) -> None:
    await mesh.serve("/", tell)
    assert (await Browser(mesh.bridge).ask(path, method).end()).status == status


async def test_a_request_before_the_first_routes_waits_for_them(mesh: FakeMesh, browser: Browser) -> None:
    browser.ask("/a")
    await asyncio.sleep(0)
    await mesh.serve("/a", tell)
    assert (await browser.end()).status == 200


async def test_it_does_not_wait_for_routes_for_ever(
    mesh: FakeMesh, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "ROUTES_TIMEOUT_S", 0.01)
    assert (await browser.ask("/a").end()).status == 503


async def test_a_new_set_of_routes_takes_the_place_of_the_old(mesh: FakeMesh) -> None:
    await mesh.serve("/old", tell)
    await mesh.publish([Route(prefix="/new", application="app", deployment="/old")])
    assert (await Browser(mesh.bridge).ask("/new").end()).status == 200
    assert (await Browser(mesh.bridge).ask("/old").end()).status == 404


async def test_a_websocket_where_nothing_is_gets_an_http_answer(mesh: FakeMesh, browser: Browser) -> None:
    await mesh.publish([])
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await mesh.bridge({"type": "websocket", "path": "/", "headers": []}, browser.received.get, send)
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 404
    assert b"No deployment answers" in sent[1]["body"]


# Ids, deadlines


async def test_the_request_id_goes_in_and_comes_out(mesh: FakeMesh, browser: Browser) -> None:
    router = await mesh.serve("/", tell)
    await browser.ask("/", headers={"X-Request-ID": "my-id"}).end()
    assert router.contexts[0].request_id == browser.headers["x-request-id"] == "my-id"
    made = (await Browser(mesh.bridge).ask("/").end()).headers["x-request-id"]
    assert made == router.contexts[1].request_id
    assert "x-request-id" in (await Browser(mesh.bridge).ask("/-/routes").end()).headers


async def test_the_users_code_may_answer_with_another_id(mesh: FakeMesh, browser: Browser) -> None:
    async def other(request: Request) -> PlainTextResponse:
        return PlainTextResponse("", headers={"X-Request-ID": "theirs"})

    await mesh.serve("/", other)
    await browser.ask("/").end()
    assert [value for name, value in browser.sent[0]["headers"] if name == b"x-request-id"] == [b"theirs"]


@pytest.mark.parametrize(
    ("config", "headers", "longest_s"),
    [
        pytest.param(None, {}, 60, id="the default, where there is no deployment to have settings"),
        pytest.param(DeploymentConfig(request_timeout_s=7), {}, 7, id="the deployment's"),
        pytest.param(DeploymentConfig(request_timeout_s=7), {"X-Request-Timeout-Seconds": "3"}, 3, id="the client's"),
    ],
)
async def test_the_deadline_is_made_here(
    mesh: FakeMesh, browser: Browser, config: DeploymentConfig | None, headers: dict[str, str], longest_s: float
) -> None:
    router = await mesh.serve("/", tell, config)
    await browser.ask("/", headers=headers).end()
    assert longest_s - 1 < left_s(router.contexts[0].deadline) <= longest_s
    assert router.timeouts_s == [longest_s]  # which holds from item to item, too


async def test_a_timeout_that_is_no_number_is_a_bad_request(mesh: FakeMesh, browser: Browser) -> None:
    await mesh.serve("/", tell)
    assert (await browser.ask("/", headers={"X-Request-Timeout-Seconds": "soon"}).end()).status == 400


async def test_the_trace_context_travels(mesh: FakeMesh, browser: Browser) -> None:
    router = await mesh.serve("/", tell)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await browser.ask("/", headers={"traceparent": trace}).end()
    assert router.contexts[0].traceparent == trace
    assert trace.encode() in router.contexts[0].wire


# Bodies


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"abc"], id="at once"),
        pytest.param([b"a", b"b", b"", b"c"], id="in small pieces"),
        pytest.param([b"x" * 300_000, b"y" * 300_000, b"z"], id="too long to be kept here"),
        pytest.param([b"x" * INLINE_BODY_BYTES, b""], id="just short enough"),
    ],
)
async def test_a_body_arrives_whole(mesh: FakeMesh, browser: Browser, pieces: list[bytes]) -> None:
    async def echo(request: Request) -> bytes:
        return await request.body()

    await mesh.serve("/", echo)
    browser.ask("/", "POST", headers={"Transfer-Encoding": "chunked"}, body=pieces[0], more_body=len(pieces) > 1)
    for number, piece in enumerate(pieces[1:], 2):
        browser.put(piece, more_body=number < len(pieces))
    await browser.end()
    assert browser.body == b"".join(pieces)


async def test_a_long_body_is_worked_on_while_it_comes(mesh: FakeMesh, browser: Browser) -> None:
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def count(request: Request) -> str:
        async for piece in request.stream():
            seen.put_nowait(len(piece))
        return "done"

    await mesh.serve("/", count)
    browser.ask("/", "POST", body=b"x" * (INLINE_BODY_BYTES + 1), more_body=True)
    assert await seen.get() == INLINE_BODY_BYTES + 1
    browser.put(b"rest", more_body=False)
    assert await seen.get() == 4
    assert (await browser.end()).body == b"done"


async def test_a_body_that_is_announced_as_too_long_is_not_read(mesh: FakeMesh, browser: Browser) -> None:
    router = await mesh.serve("/", tell, DeploymentConfig(max_body_bytes=10))
    await browser.ask("/", "POST", headers={"Content-Length": "11"}, body=b"x" * 11).end()
    assert browser.status == 413
    assert browser.received.qsize() == 1
    assert router.contexts == []


@pytest.mark.parametrize("limit_bytes", [10, 2 * INLINE_BODY_BYTES], ids=["short", "after the call has begun"])
async def test_a_body_that_turns_out_too_long_is_refused(mesh: FakeMesh, browser: Browser, limit_bytes: int) -> None:
    await mesh.serve("/", tell, DeploymentConfig(max_body_bytes=limit_bytes))
    browser.ask("/", "POST", body=b"x" * limit_bytes, more_body=True).put(b"x", more_body=True)
    await browser.end()
    assert (browser.status, b"max_body_bytes" in browser.body) == (413, True)


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(mesh: FakeMesh, browser: Browser) -> None:
    router = await mesh.serve("/", tell)
    headers = {"Content-Length": "10", "X-Request-Timeout-Seconds": "0.01"}
    await browser.ask("/", "POST", headers=headers, body=b"x", more_body=True).end()
    assert browser.status == 408
    assert router.contexts == []


# Errors


async def test_an_error_is_an_answer(mesh: FakeMesh, browser: Browser) -> None:
    async def full(request: Request) -> None:
        raise RequestRejected("full")

    await mesh.serve("/", full)
    await browser.ask("/").end()
    assert (browser.status, browser.headers["retry-after"]) == (503, "1")
    assert browser.is_complete


async def test_an_error_of_the_bridge_itself_is_logged(
    mesh: FakeMesh, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> None:
        raise ZeroDivisionError

    await mesh.serve("/", broken)
    await browser.ask("/", headers={"X-Request-ID": "the-id"}).end()
    assert browser.status == 500
    assert "the bridge failed request_id=the-id" in caplog.text


async def test_expected_errors_are_not_logged(
    mesh: FakeMesh, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(request: Request) -> None:
        raise HTTPException(404)

    await mesh.serve("/", refuse)
    assert (await browser.ask("/").end()).status == 404
    assert caplog.text == ""


# Streams


async def test_a_streaming_answer_comes_piece_by_piece(mesh: FakeMesh, browser: Browser) -> None:
    more = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        yield "one"
        await more.wait()
        yield "two"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words(), 201)

    await mesh.serve("/", stream)
    browser.ask("/", headers={"X-Request-ID": "the-id"})
    assert (await browser.answered.get())["status"] == 201
    assert await browser.answered.get() == {"type": "http.response.body", "body": b"one", "more_body": True}
    assert not browser.is_complete
    more.set()
    await browser.end()
    assert (browser.body, browser.is_complete, browser.headers["x-request-id"]) == (b"onetwo", True, "the-id")


async def test_background_work_does_not_hold_the_answer(mesh: FakeMesh, browser: Browser) -> None:
    allowed, done = asyncio.Event(), asyncio.Event()

    async def later() -> None:
        await allowed.wait()
        done.set()

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("body", background=BackgroundTask(later))

    await mesh.serve("/", answer)
    browser.ask("/")
    await browser.answered.get()
    await browser.answered.get()
    assert (browser.body, browser.is_complete, done.is_set()) == (b"body", True, False)
    browser.leave()
    allowed.set()
    await browser.end()
    assert done.is_set()


async def test_an_answer_that_breaks_off_is_not_completed(
    mesh: FakeMesh, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    async def words() -> AsyncGenerator[str, None]:
        yield "one"
        raise ValueError("broken")

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words())

    await mesh.serve("/", stream)
    await browser.ask("/").end()
    assert (browser.status, browser.body, browser.is_complete) == (200, b"one", False)
    assert "an answer was cut off" in caplog.text


async def test_an_answer_that_fails_before_it_begins_is_an_error(mesh: FakeMesh, browser: Browser) -> None:
    class Headless(StreamingResponse):
        async def __call__(self, *_: Any) -> None:
            return

    async def stream(request: Request) -> StreamingResponse:
        return Headless(iter(()))

    await mesh.serve("/", stream)
    await browser.ask("/").end()
    assert (browser.status, browser.is_complete) == (500, True)


async def test_only_the_head_of_a_stream_is_made_for_a_head_request(mesh: FakeMesh, browser: Browser) -> None:
    async def endless() -> AsyncGenerator[str, None]:
        while True:
            yield "x"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(endless())

    await mesh.serve("/", stream)
    await browser.ask("/", "HEAD").end()
    assert (browser.status, browser.body, browser.is_complete) == (200, b"", True)


# Clients that leave


async def test_a_client_that_leaves_cancels_the_work(mesh: FakeMesh, browser: Browser, at_once: None) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(request: Request) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await mesh.serve("/", work)
    browser.ask("/")
    await begun.wait()
    browser.leave()
    await browser.end()
    await cancelled.wait()
    assert browser.sent == []


async def test_nobody_listens_to_a_client_that_has_its_answer(mesh: FakeMesh, browser: Browser, at_once: None) -> None:
    await mesh.serve("/", tell)
    await browser.ask("/").end()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_long_call_is_listened_to_without_being_asked(mesh: FakeMesh, browser: Browser) -> None:
    await mesh.serve("/", hold)
    browser.ask("/").leave()
    await browser.end()
    assert browser.sent == []


async def test_a_client_that_leaves_ends_a_stream(mesh: FakeMesh, browser: Browser) -> None:
    ended = asyncio.Event()

    async def words() -> AsyncGenerator[str, None]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(words())

    await mesh.serve("/", stream)
    browser.ask("/")
    await browser.answered.get()
    await browser.answered.get()
    browser.leave()
    await ended.wait()
    await browser.end()
    assert not browser.is_complete


async def test_a_client_that_leaves_after_a_long_body_cancels_the_work(
    mesh: FakeMesh, browser: Browser, at_once: None
) -> None:
    read, cancelled = asyncio.Event(), asyncio.Event()

    async def work(request: Request) -> None:
        await request.body()
        read.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await mesh.serve("/", work)
    browser.ask("/", "POST", body=b"x" * (INLINE_BODY_BYTES + 1), more_body=True).put(b"", more_body=False)
    await read.wait()
    browser.leave()
    await browser.end()
    assert cancelled.is_set()
    assert browser.sent == []


@pytest.mark.parametrize("begun", [False, True], ids=["before the call", "after the call has begun"])
async def test_a_client_that_leaves_in_its_body_ends_the_call(mesh: FakeMesh, browser: Browser, begun: bool) -> None:
    router = await mesh.serve("/", tell)
    browser.ask("/", "POST", body=b"x" * (INLINE_BODY_BYTES + 1 if begun else 1), more_body=True).leave()
    await browser.end()
    assert browser.sent == []
    assert len(router.contexts) == begun


async def test_a_server_that_stops_cancels_the_work_and_says_so(mesh: FakeMesh, browser: Browser) -> None:
    cancelled = asyncio.Event()

    async def work(request: Request) -> None:
        browser.task.cancel()  # type: ignore[union-attr]
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await mesh.serve("/", work)
    browser.ask("/")
    with pytest.raises(asyncio.CancelledError):
        await browser.end()
    assert cancelled.is_set()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
