"""What the bridge reads in the head of a request."""

from __future__ import annotations

import re

import pytest
from starlette.exceptions import HTTPException

from http_bridge.request_head import RequestHead, read_head


def head(**headers: str) -> RequestHead:
    return read_head(
        {"headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}
    )


@pytest.mark.parametrize("given", ["abc-123", "x" * 128])
def test_a_request_keeps_the_id_that_it_came_with(given: str) -> None:
    assert head(x_request_id=given).request_id == given


@pytest.mark.parametrize("given", [None, "", "with space", "x" * 129, "ümlaut"])
def test_a_request_gets_an_id_when_it_has_none_that_can_be_passed_on(given: str | None) -> None:
    made = head(x_request_id=given) if given is not None else head()
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", made.request_id)
    assert made.request_id != head().request_id


@pytest.mark.parametrize(
    ("asked", "configured_s", "timeout_s"),
    [
        pytest.param(None, 60.0, 60.0, id="what is configured"),
        pytest.param(None, None, None, id="none is configured"),
        pytest.param("0.5", 60.0, 0.5, id="the client asks for less"),
        pytest.param("90", 60.0, 60.0, id="the client cannot ask for more"),
        pytest.param("90", None, 90.0, id="the client asks where none is configured"),
    ],
)
def test_a_client_may_shorten_the_timeout(asked: str | None, configured_s: float | None, timeout_s: float) -> None:
    read = head() if asked is None else head(x_request_timeout_seconds=asked)
    assert read.timeout_s(configured_s) == timeout_s


@pytest.mark.parametrize("asked", ["soon", "0", "-1", "nan", "inf", ""])
def test_a_timeout_that_is_none_is_refused(asked: str) -> None:
    with pytest.raises(HTTPException, match="must be a positive number") as refusal:
        head(x_request_timeout_seconds=asked).timeout_s(60.0)
    assert refusal.value.status_code == 400


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("given", "read"), [(TRACE, TRACE), ("nonsense", ""), (f"{TRACE}-more", "")])
def test_a_trace_context_is_passed_on_when_it_is_one(given: str, read: str) -> None:
    assert head(traceparent=given).traceparent == read


@pytest.mark.parametrize(
    ("headers", "length", "has_body"),
    [
        pytest.param({}, 0, False, id="no body"),
        pytest.param({"content_length": "17"}, 17, True, id="a length"),
        pytest.param({"transfer_encoding": "chunked"}, 0, True, id="chunked"),
        pytest.param({"content_length": "-5"}, 0, True, id="a length that is none"),
    ],
)
def test_a_body_is_announced(headers: dict[str, str], length: int, has_body: bool) -> None:
    read = head(**headers)
    assert (read.content_length, read.has_body) == (length, has_body)
