"""HTTP as a client meets it: a real one, on keep-alive connections, against deployments in their own processes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import mesh
from mesh.dag import DeploymentNode
from mesh.drivers import DAGDriver
from tests.e2e.commands import LIMIT_S, wait_until
from tests.e2e.running_mesh import RunningMesh
from tests.services import http as services
from tests.services.handles import Echo, Gate

LARGE = bytes(range(256)) * 40_000
"""A body that does not fit into a frame: about 10 MB."""


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deployed(own_mesh: RunningMesh) -> RunningMesh:
    """Everything that these tests ask, each under the name of its application."""

    def gate(**options: Any) -> DeploymentNode:
        return Gate.options(max_ongoing_requests=100, **options).bind()

    nodes: dict[str, DeploymentNode] = {
        "answers": services.Answers.bind(),
        "turn": services.OnTurn.bind(),
        "saw": services.Saw.bind(),
        "saw/below": services.Saw.options(name="Below").bind(),
        "reads": services.Reads.bind(),
        "hands": services.HandsOn.bind(services.Saw.options(max_body_bytes=50_000_000).bind()),
        "function": services.function.bind(),
        "without": services.WithoutParameters.bind(),
        "streams": services.Streams.bind(gate()),
        "narrow": services.Narrow.bind(gate()),
        "narrow_on_turn": services.NarrowOnTurn.bind(gate()),
        "nested": services.Nested.bind(Echo.bind()),
        "driver": DAGDriver.bind(services.function.bind()),
    }
    for path, node in nodes.items():
        mesh.run(node, name=path.replace("/", "-"), route_prefix=f"/{path}")
    mesh.run(services.Answers.bind(), name="hidden", route_prefix=None)
    return own_mesh


@pytest.fixture(scope="module")
def client(deployed: RunningMesh) -> Iterator[httpx.Client]:
    """One connection for all tests of the module: whatever happens on it, it stays good."""
    with httpx.Client(base_url=deployed.url, timeout=LIMIT_S, limits=httpx.Limits(max_connections=1)) as client:
        yield client


@pytest.fixture
async def async_client(deployed: RunningMesh) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=deployed.url, timeout=LIMIT_S) as client:
        yield client


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a gate that no other test uses."""
    return str(request.node.name)


def _gate(application: str) -> mesh.DeploymentHandle:
    return mesh.DeploymentHandle(application, "Gate")


# --- answers


@pytest.mark.feature("35")
@pytest.mark.parametrize(
    ("kind", "content_type", "content"),
    [
        ("nothing", "text/plain; charset=utf-8", b""),
        ("text", "text/plain; charset=utf-8", 'a "text" in ünïcode'.encode()),
        ("raw", "application/octet-stream", b"\x00\xff raw"),
        ("number", "application/json", b"4.5"),
        ("json", "application/json", '{"a":[1,null,true],"ü":"ö"}'.encode()),
        ("arrays", "application/json", b'{"array":[[0,1],[2,3]],"scalar":0.5,"integer":1099511627776}'),
        ("objects", "application/json", b'[{"x":1,"y":2.5},"red","2024-02-29T00:00:00",[1,2],[3]]'),
    ],
)
def test_answer(client: httpx.Client, kind: str, content_type: str, content: bytes) -> None:
    answer = client.get(f"/answers/{kind}")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, content_type, content)


@pytest.mark.feature("35")
def test_response_objects_go_out_as_they_are(client: httpx.Client) -> None:
    html = client.get("/answers/html")
    assert (html.status_code, html.text, html.headers["x-own"]) == (201, "<p>hello</p>", "yes")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    redirect = client.get("/answers/redirect")
    assert (redirect.status_code, redirect.headers["location"]) == (303, "/elsewhere")
    cookies = client.get("/answers/cookie")
    assert [line.split(";")[0] for line in cookies.headers.get_list("set-cookie")] == ["one=1", "two=2"]
    client.cookies.clear()


@pytest.mark.feature("35")
def test_background_task_runs_after_the_answer(client: httpx.Client) -> None:
    assert client.get("/answers/in_background").text == "done"
    wait_until(lambda: client.get("/answers/ran_in_background").json() == ["ran"])


@pytest.mark.feature("46c")
def test_nested_refs_in_an_answer_are_resolved(client: httpx.Client) -> None:
    assert client.get("/nested/").json() == {"one": 2, "more": [4]}
    assert client.get("/nested/response").json() == 8


@pytest.mark.feature("9")
@pytest.mark.feature("33")
def test_functions_and_callables_without_parameters(client: httpx.Client) -> None:
    assert client.put("/function").text == "function PUT"
    assert client.get("/without").text == "no parameters"
    assert client.get("/turn", params={"name": "ünï"}).text == "ünï"


# --- requests


@pytest.mark.feature("32")
@pytest.mark.feature("34")
def test_what_the_deployment_sees_of_a_request(client: httpx.Client, deployed: RunningMesh) -> None:
    body = b"a body"
    answer = client.request(
        "PATCH",
        "/saw/a%20path/x",
        params=[("q", "1"), ("q", "ü")],
        content=body,
        headers=[("X-Own", "one"), ("X-Own", "two"), ("Cookie", "taste=sweet")],
    )
    assert answer.json() == {
        "is_request": True,
        "method": "PATCH",
        "path": "/a path/x",
        "root_path": "/saw",
        "url": f"{deployed.url}/saw/a path/x?q=1&q=%C3%BC",
        "query": [["q", "1"], ["q", "ü"]],
        "own": ["one", "two"],
        "cookies": {"taste": "sweet"},
        "client": "127.0.0.1",
        "body_bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


@pytest.mark.feature("34")
def test_json_and_forms_and_uploads(client: httpx.Client) -> None:
    assert client.post("/reads/json", json={"a": [1, "ü"]}).json() == {"a": [1, "ü"]}
    assert client.post("/reads/form", data={"a": "1", "b": "ü"}).json() == {"a": "1", "b": "ü"}
    uploaded = client.post("/reads/upload", files={"file": ("name.bin", LARGE)})
    assert uploaded.json() == {"name": "name.bin", "size": len(LARGE)}


@pytest.mark.feature("44h")
def test_large_upload_is_streamed_to_the_deployment(client: httpx.Client) -> None:
    answer = client.post("/reads/stream", content=LARGE).json()
    assert answer["bytes"] == len(LARGE)
    assert answer["pieces"] > 10


@pytest.mark.feature("44h")
def test_chunked_upload(client: httpx.Client) -> None:
    pieces = (LARGE[start : start + 100_000] for start in range(0, len(LARGE), 100_000))
    assert client.post("/reads/stream", content=pieces).json()["bytes"] == len(LARGE)


@pytest.mark.feature("44h")
@pytest.mark.parametrize("path", ["/reads/nothing", "/reads/first"])
def test_upload_that_nobody_reads_to_its_end_leaves_the_connection_good(client: httpx.Client, path: str) -> None:
    assert client.post(path, content=LARGE).status_code == 200
    assert client.get("/without").text == "no parameters"


@pytest.mark.feature("48")
@pytest.mark.parametrize("size", [0, 10, 200_000, len(LARGE)])
@pytest.mark.parametrize("read", ["not", "before", "meanwhile", "after"])
def test_request_handed_on_to_another_deployment_can_be_read_there(client: httpx.Client, read: str, size: int) -> None:
    body = LARGE[:size]
    answer = client.post("/hands/on", params={"read": read}, content=body, headers={"X-Own": "yes"}).json()
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()
    assert (answer["is_request"], answer["method"], answer["own"]) == (True, "POST", ["yes"])
    assert answer.get("first", size) == size


@pytest.mark.feature("48")
def test_request_whose_body_is_gone_cannot_be_handed_on(client: httpx.Client) -> None:
    answer = client.post("/hands/on", params={"read": "stream"}, content=LARGE)
    assert answer.status_code == 500
    assert "PayloadError" in answer.text
    assert "await request.body()" in answer.text


@pytest.mark.feature("32")
def test_head_has_the_head_of_get_and_no_body(client: httpx.Client) -> None:
    head, get = client.head("/answers/text"), client.get("/answers/text")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.content))
    assert client.get("/without").text == "no parameters"


# --- routes


@pytest.mark.feature("37")
@pytest.mark.parametrize(
    ("path", "root_path", "below"),
    [
        ("/saw", "/saw", "/"),
        ("/saw/", "/saw", "/"),
        ("/saw/x/y", "/saw", "/x/y"),
        ("/saw/below", "/saw/below", "/"),
        ("/saw/below/x", "/saw/below", "/x"),
        ("/saw/belowx", "/saw", "/belowx"),
    ],
)
def test_longest_prefix_by_whole_segments(client: httpx.Client, path: str, root_path: str, below: str) -> None:
    seen = client.get(path).json()
    assert (seen["root_path"], seen["path"]) == (root_path, below)


@pytest.mark.feature("39")
@pytest.mark.parametrize("path", ["/", "/sawx", "/nowhere", "/hidden"])
def test_unknown_path_is_404_and_names_the_list_of_routes(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "/-/routes" in answer.text
    assert path in answer.text


@pytest.mark.feature("40")
def test_pages_of_the_bridge(client: httpx.Client) -> None:
    routes = client.get("/-/routes").json()
    assert {"/saw", "/saw/below", "/answers"} <= set(routes)
    assert "hidden" not in json.dumps(routes)
    for page in ("/-/routes", "/-/healthz"):
        head, refused = client.head(page), client.post(page)
        assert (head.status_code, head.content) == (200, b"")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert client.get("/-/healthz").text == "success\n"
    assert client.get("/-/nothing").status_code == 404


@pytest.mark.feature("61")
def test_root_at_the_root(own_mesh: RunningMesh, client: httpx.Client) -> None:
    mesh.run(services.Saw.bind(), name="root")
    try:
        for path in ("/", "/anything"):
            seen = client.get(path).json()
            assert (seen["root_path"], seen["path"]) == ("", path)
        assert client.get("/without").text == "no parameters"
    finally:
        mesh.delete("root")
    assert client.get("/").status_code == 404


@pytest.mark.feature("31")
def test_localhost_is_both_loopback_addresses(own_mesh: RunningMesh, client: httpx.Client) -> None:
    port = own_mesh.url.rpartition(":")[2]
    assert httpx.get(f"http://127.0.0.1:{port}/-/healthz").status_code == 200
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this host has no ::1: {error}")
    assert httpx.get(f"http://[::1]:{port}/-/healthz").status_code == 200


# --- ids


def test_request_id_goes_in_and_out(client: httpx.Client) -> None:
    assert client.get("/without", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = {client.get("/without").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert client.get("/nowhere", headers={"X-Request-ID": "mine-2"}).headers["x-request-id"] == "mine-2"
    assert client.get("/answers/refuse", headers={"X-Request-ID": "mine-3"}).headers["x-request-id"] == "mine-3"
    assert client.get("/answers/own_id").headers.get_list("x-request-id") == ["of the user"]


# --- errors; the connection of the module stays good after each


@pytest.fixture(autouse=True)
def still_good(client: httpx.Client) -> Iterator[None]:
    yield
    assert client.get("/without").text == "no parameters"


@pytest.mark.feature("41")
def test_error_of_the_users_code_is_500_with_type_and_message(client: httpx.Client) -> None:
    answer = client.get("/answers/refuse")
    assert answer.status_code == 500
    assert answer.text.startswith("tests.services.handles.Refused: too late (4)")
    assert "\x1b" not in answer.text
    assert "tests/services/http.py" in answer.text, "a mesh of a script shows the traceback"
    assert "sidecar" not in answer.text
    assert client.get("/turn/fail").text.startswith("LookupError: no such thing")


@pytest.mark.feature("41")
def test_http_exception_of_the_users_code_says_what_it_wants_to_be(client: httpx.Client) -> None:
    answer = client.get("/answers/not_here")
    assert (answer.status_code, answer.text.strip(), answer.headers["x-own"]) == (418, "a teapot", "yes")


@pytest.mark.feature("41")
@pytest.mark.parametrize(
    ("kind", "says"), [("neither", "has no form in JSON"), ("end", "SystemExit"), ("none", "Attr")]
)
def test_other_failures_of_the_users_code_are_500(client: httpx.Client, kind: str, says: str) -> None:
    answer = client.get(f"/answers/{kind}")
    assert answer.status_code == 500
    assert says in answer.text


@pytest.mark.feature("44h")
def test_body_over_the_limit_is_413(client: httpx.Client) -> None:
    assert client.post("/saw", content=bytes(1_000_000)).json()["body_bytes"] == 1_000_000
    answer = client.post("/saw", content=bytes(1_000_001))
    assert answer.status_code == 413
    assert "1000000 bytes (max_body_bytes)" in answer.text


@pytest.mark.feature("44h")
def test_chunked_body_over_the_limit_is_413(client: httpx.Client) -> None:
    answer = client.post("/saw", content=(bytes(100_000) for _ in range(11)))
    assert answer.status_code == 413
    assert "max_body_bytes" in answer.text


@pytest.mark.feature("44h")
def test_limit_of_a_deployment_that_was_never_asked_before_holds_for_the_first_request(
    own_mesh: RunningMesh, client: httpx.Client
) -> None:
    for number in range(5):
        mesh.run(services.Saw.options(max_body_bytes=1000).bind(), name=f"new{number}", route_prefix="/new")
        try:
            assert client.post("/new", content=bytes(1001)).status_code == 413
        finally:
            mesh.delete(f"new{number}")


@pytest.mark.feature("43")
@pytest.mark.parametrize("application", ["narrow", "narrow_on_turn"])
def test_timeout_of_the_request_is_408_and_ends_the_work_below(
    client: httpx.Client, key: str, application: str
) -> None:
    answer = client.get(f"/{application}", params={"key": key}, headers={"X-Request-Timeout-Seconds": "0.2"})
    assert answer.status_code == 408
    assert "DeadlineExceeded" in answer.text
    _gate(application).cancelled.remote(key).result(LIMIT_S)
    assert client.get(f"/{application}").text == "at once", "the only slot is free again"


@pytest.mark.feature("43")
@pytest.mark.parametrize("value", ["soon", "-1", "0", "inf", "nan", ""])
def test_timeout_that_is_no_number_of_seconds_is_400(client: httpx.Client, value: str) -> None:
    answer = client.get("/without", headers={"X-Request-Timeout-Seconds": value})
    assert answer.status_code == 400
    assert "X-Request-Timeout-Seconds" in answer.text


@pytest.mark.feature("43")
async def test_overload_is_503_with_retry_after(async_client: httpx.AsyncClient, key: str) -> None:
    gate = _gate("narrow")
    asking = [asyncio.ensure_future(async_client.get("/narrow", params={"key": key})) for _ in range(5)]
    rejected, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    while len(rejected) < 3:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        rejected |= more
    for done in rejected:
        answer = done.result()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "RequestRejected" in answer.text
        assert "max_queued_requests=1" in answer.text
    await gate.open(key)
    assert [(await done).text for done in waiting] == [key, key]


@pytest.mark.feature("43")
@pytest.mark.parametrize("application", ["narrow", "narrow_on_turn"])
async def test_client_that_leaves_cancels_the_work_below(
    async_client: httpx.AsyncClient, key: str, application: str
) -> None:
    gate = _gate(application)
    for number in range(3):
        asking = asyncio.ensure_future(async_client.get(f"/{application}", params={"key": f"{key}{number}"}))
        await gate.begun(f"{key}{number}")
        asking.cancel()
        await gate.cancelled(f"{key}{number}")
    assert (await async_client.get(f"/{application}")).text == "at once"


@pytest.mark.feature("43")
async def test_client_that_leaves_while_a_plain_method_works_frees_the_slot_when_it_ends(
    async_client: httpx.AsyncClient,
) -> None:
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            await async_client.get("/narrow_on_turn", params={"key": "sleeps"}, timeout=httpx.Timeout(5, read=0.2))
    assert (await async_client.get("/narrow_on_turn")).text == "at once"


# --- streams


@pytest.mark.feature("44h")
@pytest.mark.parametrize("kind", ["response", "generator"])
async def test_answer_streams_as_it_is_made(async_client: httpx.AsyncClient, key: str, kind: str) -> None:
    async with async_client.stream("GET", f"/streams/{kind}", params={"key": key}) as answer:
        pieces = answer.aiter_text()
        assert await anext(pieces) == "first\n"
        await _gate("streams").begun(key)
        await _gate("streams").open(key)
        assert await anext(pieces) == "second\n"
        assert [piece async for piece in pieces] == []


@pytest.mark.feature("44h")
def test_plain_generator_is_a_stream(client: httpx.Client, key: str) -> None:
    assert client.get("/streams/plain", params={"key": key}).text == "0\n1\n2\n"


@pytest.mark.feature("44h")
async def test_client_that_leaves_a_stream_cancels_it(async_client: httpx.AsyncClient, key: str) -> None:
    async with async_client.stream("GET", "/streams/response", params={"key": key}) as answer:
        pieces = answer.aiter_text()  # kept: an iterator that nobody has closes the answer
        assert await anext(pieces) == "first\n"
        await _gate("streams").begun(key)
    await _gate("streams").cancelled(key)


@pytest.mark.feature("44h")
async def test_endless_stream_holds_up_nobody(async_client: httpx.AsyncClient, client: httpx.Client, key: str) -> None:
    async with async_client.stream("GET", "/streams/endless", params={"key": key}) as answer:
        pieces = answer.aiter_bytes(100_000)
        for _ in range(20):
            assert len(await anext(pieces)) == 100_000
        assert (await async_client.get("/streams/plain", params={"key": key})).text == "0\n1\n2\n"


@pytest.mark.feature("44h")
async def test_each_piece_leaves_before_the_generator_computes_on(
    async_client: httpx.AsyncClient, key: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    seen.write_text("")
    async with async_client.stream("GET", "/streams/computes", params={"key": key, "file": str(seen)}) as answer:
        pieces = answer.aiter_text()
        for number in range(3):
            assert await anext(pieces) == str(number)
            seen.write_text(str(number))
        assert [piece async for piece in pieces] == []


@pytest.mark.feature("44h")
@pytest.mark.parametrize("number", [1, 2000], ids=["soon", "late"])
@pytest.mark.parametrize("kind", ["response", "generator", "plain", "refusal"])
async def test_stream_that_breaks_half_way_is_seen_to_be_cut(
    async_client: httpx.AsyncClient, key: str, kind: str, number: int
) -> None:
    came: list[bytes] = []

    async def read(answer: httpx.Response) -> None:
        async for piece in answer.aiter_raw():
            came.append(piece)

    async with async_client.stream("GET", f"/streams/broken_{kind}", params={"key": key, "number": number}) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await read(answer)
    assert b"".join(came) == b"piece" * number
    assert (await async_client.get("/streams/plain", params={"key": key})).text == "0\n1\n2\n"


@pytest.mark.feature("44h")
async def test_stream_whose_next_piece_is_too_late_is_cut(async_client: httpx.AsyncClient, key: str) -> None:
    hurry = {"X-Request-Timeout-Seconds": "0.5"}  # the deployment has 60
    async with async_client.stream("GET", "/streams/stuck", params={"key": key}, headers=hurry, timeout=20) as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"first"
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            await anext(pieces)


# --- drivers


@pytest.mark.feature("82")
def test_driver_answers_get_and_post_on_any_path_below_and_quotes_text(client: httpx.Client) -> None:
    for answer in (client.get("/driver"), client.post("/driver/any/path")):
        assert (answer.status_code, answer.text) == (200, f'"function {answer.request.method}"')
    refused = client.put("/driver")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
