"""What HTTP clients see, through the real bridge and real replicas."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

import mesh
from tests.e2e.commands import LIMIT_S, wait_until
from tests.e2e.running_mesh import RunningMesh
from tests.services.web import Front, Web, count, doubled, pong

BIG_BYTES = 3_000_000


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def client(own_mesh: RunningMesh) -> Iterator[httpx.Client]:
    mesh.run(Web.options(max_body_bytes=BIG_BYTES).bind(), name="web", route_prefix="/web")
    mesh.run(Front.bind(Web.bind()), name="front", route_prefix="/front")
    mesh.run(count.bind(), name="count", route_prefix="/count")
    mesh.run(pong.bind(), name="pong", route_prefix="/pong")
    mesh.run(doubled, name="doubled", route_prefix="/doubled")
    with httpx.Client(base_url=own_mesh.url, timeout=LIMIT_S) as client:
        yield client


def get(client: httpx.Client, answer: str, path: str = "/web") -> httpx.Response:
    return client.get(path, params={"answer": answer})


@pytest.mark.feature(35)
@pytest.mark.parametrize(
    ("answer", "content_type", "text"),
    [
        pytest.param("nothing", "text/plain; charset=utf-8", "", id="None"),
        pytest.param("text", "text/plain; charset=utf-8", "/web / /web", id="text"),
        pytest.param("json", "application/json", '{"array":[0,1],"point":{"x":1},"nan":null}', id="JSON"),
        pytest.param("stream", "text/event-stream; charset=utf-8", "one two", id="a stream"),
    ],
)
def test_what_is_returned_is_answered(client: httpx.Client, answer: str, content_type: str, text: str) -> None:
    response = get(client, answer)
    assert (response.status_code, response.headers["content-type"], response.text) == (200, content_type, text)


@pytest.mark.feature("38")
@pytest.mark.feature(36)
def test_the_prefix_moves_to_the_root_path(client: httpx.Client) -> None:
    assert get(client, "text", "/web/a%20b").text == "/web /a b /web/a b"
    assert get(client, "text", "/webb").status_code == 404


@pytest.mark.feature(32)
def test_forms_and_cookies_are_read(client: httpx.Client) -> None:
    response = client.post("/web?answer=form", data={"a": "1"}, headers={"Cookie": "b=2"})
    assert response.json() == {"a": "1", "b": "2"}


@pytest.mark.feature(32)
def test_a_callable_without_parameters_gets_no_request(client: httpx.Client) -> None:
    assert client.get("/pong").text == "pong"


@pytest.mark.feature(48)
@pytest.mark.parametrize("size_bytes", [0, 10, BIG_BYTES])
def test_a_request_is_handed_on_and_still_read(client: httpx.Client, size_bytes: int) -> None:
    response = client.post("/front?answer=length", content=b"x" * size_bytes)
    assert response.json() == [str(size_bytes), str(size_bytes), size_bytes]


@pytest.mark.feature(44)
def test_uploads_are_streamed_and_bounded(client: httpx.Client) -> None:
    def pieces(size_bytes: int) -> Iterator[bytes]:
        for begin in range(0, size_bytes, 100_000):
            yield b"x" * min(100_000, size_bytes - begin)

    assert client.post("/web?answer=length", content=pieces(BIG_BYTES)).text == str(BIG_BYTES)
    assert client.post("/web?answer=length", content=pieces(BIG_BYTES + 1)).status_code == 413
    assert client.post("/web?answer=length", content=b"x" * (BIG_BYTES + 1)).status_code == 413


@pytest.mark.feature(57)
def test_a_generator_is_streamed_line_by_line(client: httpx.Client) -> None:
    assert client.get("/count").text == '{"n":0}\n{"n":1}\n{"n":2}\n'


@pytest.mark.feature(41)
def test_a_users_error_shows_type_message_and_the_users_frames(client: httpx.Client) -> None:
    response = get(client, "user_error")
    assert response.status_code == 500
    assert response.text.startswith("ValueError: bad input\n\nTraceback")
    assert "services/web.py" in response.text
    assert "sidecar" not in response.text


def test_an_http_exception_is_the_answer_that_it_names(client: httpx.Client) -> None:
    response = get(client, "not_found")
    assert (response.status_code, response.text) == (404, "no such cat")


@pytest.mark.feature(43)
def test_a_request_past_its_deadline_is_given_up(client: httpx.Client) -> None:
    response = client.get("/web?answer=late", headers={"X-Request-Timeout-Seconds": "0.1"})
    assert (response.status_code, response.text.partition(":")[0]) == (408, "DeadlineExceeded")


@pytest.mark.feature(44)
def test_a_client_that_does_not_read_holds_the_stream_and_its_leaving_ends_it(
    client: httpx.Client, own_mesh: RunningMesh
) -> None:
    url = httpx.URL(own_mesh.url)
    with socket.create_connection((url.host, url.port or 80), LIMIT_S) as connection:
        connection.sendall(b"GET /web?answer=endless HTTP/1.1\r\nHost: mesh\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
    wait_until(lambda: "held back" in get(client, "seen").json())


def test_background_work_is_done_after_the_answer(client: httpx.Client) -> None:
    assert get(client, "background").text == "before"
    wait_until(lambda: "background" in get(client, "seen").json())


@pytest.mark.feature(82)
def test_a_driver_answers_with_json_and_says_what_is_wrong_with_the_input(client: httpx.Client) -> None:
    assert client.post("/doubled/any/path", json=21).text == "42"
    assert client.post("/doubled", json="ab").text == '"abab"'
    assert client.post("/doubled", content=b"{").status_code == 400
    assert client.put("/doubled", json=21).status_code == 405


@pytest.mark.feature(39)
def test_the_page_of_routes_names_what_is_deployed(client: httpx.Client) -> None:
    routes = client.get("/-/routes").json()
    assert routes == {"/count": "count", "/doubled": "DAGDriver", "/front": "Front", "/pong": "pong", "/web": "Web"}
    assert client.get("/-/healthz").status_code == 200


def test_an_application_answers_as_soon_as_run_has_returned(client: httpx.Client) -> None:
    for number in range(5):
        mesh.run(pong.bind(), name=f"pong{number}", route_prefix=f"/pong{number}")
        assert client.get(f"/pong{number}").text == "pong"
        mesh.delete(f"pong{number}")
