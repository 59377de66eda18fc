"""What an HTTP client sees of an error."""

from __future__ import annotations

import pytest
from starlette.exceptions import HTTPException

from http_bridge.errors import error_answer
from mesh import errors
from mesh.error_detail import decode_error, encode_error


class Broken(Exception):
    """An error of a user."""


def from_replica(error: BaseException) -> BaseException:
    """``error`` as it arrives when a replica raised it."""
    try:
        raise error
    except BaseException as raised:
        return decode_error(encode_error(raised))


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        pytest.param(from_replica(ValueError("bad")), 500, "ValueError: bad\n", id="a user's error"),
        pytest.param(from_replica(KeyError("k")), 500, "KeyError: 'k'\n", id="a user's KeyError"),
        pytest.param(from_replica(ValueError()), 500, "ValueError\n", id="without a message"),
        pytest.param(from_replica(Broken("x")), 500, f"{__name__}.Broken: x\n", id="a class of the user's own"),
        pytest.param(
            errors.UserCodeError("bad", "theirs.Broken", "trace"),
            500,
            "theirs.Broken: bad\n",
            id="one not rebuilt here",
        ),
        pytest.param(from_replica(ValueError("\x1b[31mred\x1b[0m")), 500, "ValueError: red\n", id="without colours"),
        pytest.param(from_replica(HTTPException(404, "no such cat")), 404, "no such cat", id="an HTTPException"),
        pytest.param(from_replica(errors.ConfigError("x")), 500, "ConfigError: x\n", id="a ConfigError of a replica"),
        pytest.param(
            from_replica(errors.DeploymentNotFound("x")), 500, "DeploymentNotFound: x\n", id="a call to nowhere"
        ),
        pytest.param(errors.DeploymentNotFound("gone"), 404, "DeploymentNotFound: gone\n", id="a route to nowhere"),
        pytest.param(errors.DeadlineExceeded("late"), 408, "DeadlineExceeded: late\n", id="too late"),
        pytest.param(from_replica(errors.DeadlineExceeded("late")), 408, "DeadlineExceeded: late\n", id="late below"),
        pytest.param(errors.PayloadTooLarge("big"), 413, "PayloadTooLarge: big\n", id="too large"),
        pytest.param(from_replica(errors.PayloadTooLarge("big")), 413, "PayloadTooLarge: big\n", id="large below"),
        pytest.param(errors.RequestRejected("full"), 503, "RequestRejected: full\n", id="no room"),
        pytest.param(from_replica(errors.RequestRejected("full")), 503, "RequestRejected: full\n", id="none below"),
        pytest.param(errors.RequestCancelled("drained"), 503, "RequestCancelled: drained\n", id="cancelled by us"),
        pytest.param(errors.ReplicaDied("r#1"), 502, "ReplicaDied: r#1\n", id="a replica died"),
    ],
)
def test_an_error_is_a_status_and_a_text(error: BaseException, status: int, text: str) -> None:
    answer = error_answer(error, debug=False)
    assert (answer.status, answer.body.decode()) == (status, text)
    headers = dict(answer.headers)
    assert headers[b"content-length"] == b"%d" % len(answer.body)
    assert (headers.get(b"retry-after") == b"1") == (status == 503)


def test_the_traceback_is_shown_when_asked_for_and_only_then() -> None:
    error = from_replica(ValueError("bad"))
    shown = error_answer(error, debug=True).body.decode()
    assert shown.startswith("ValueError: bad\n\nTraceback (most recent call last):\n")
    assert "raise error" in shown
    assert b"Traceback" not in error_answer(error, debug=False).body


def test_the_headers_of_an_http_exception_are_kept() -> None:
    answer = error_answer(HTTPException(401, "who?", {"WWW-Authenticate": "Basic"}), debug=False)
    assert (b"www-authenticate", b"Basic") in answer.headers
