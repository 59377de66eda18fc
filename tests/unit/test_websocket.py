"""What WebSockets say, as bytes and back."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.answers import encode_whole
from mesh.errors import PayloadError
from mesh.websocket import decode_from_application, decode_from_client, encode_message, encode_refusal


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": "websocket.receive", "text": "ü"}, id="text"),
        pytest.param({"type": "websocket.receive", "text": ""}, id="empty text"),
        pytest.param({"type": "websocket.receive", "bytes": b"\x00"}, id="bytes"),
        pytest.param({"type": "websocket.receive", "bytes": b""}, id="no bytes"),
        pytest.param({"type": "websocket.disconnect", "code": 4000, "reason": "why"}, id="the end"),
    ],
)
def test_what_a_client_says_arrives_as_it_was(message: dict[str, Any]) -> None:
    assert decode_from_client(encode_message(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": "websocket.send", "text": "ü"}, id="text"),
        pytest.param({"type": "websocket.send", "bytes": b"\x00"}, id="bytes"),
        pytest.param({"type": "websocket.close", "code": 1001, "reason": ""}, id="the end"),
        pytest.param({"type": "websocket.accept", "subprotocol": None, "headers": []}, id="plain accept"),
        pytest.param({"type": "websocket.accept", "subprotocol": "a", "headers": [(b"x", b"1")]}, id="full accept"),
    ],
)
def test_what_an_application_says_arrives_as_it_was(message: dict[str, Any]) -> None:
    assert decode_from_application(encode_message(message)) == [message]


def test_message_with_text_none_is_bytes() -> None:
    message = {"type": "websocket.send", "text": None, "bytes": b"x"}
    assert decode_from_application(encode_message(message)) == [{"type": "websocket.send", "bytes": b"x"}]


def test_refusal_is_an_http_response() -> None:
    start, body = decode_from_application(encode_refusal(encode_whole(418, b"text/plain", b"no coffee")))
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 418)
    assert body == {"type": "websocket.http.response.body", "body": b"no coffee"}


def test_message_of_another_kind_is_refused() -> None:
    with pytest.raises(PayloadError, match=r"http\.request"):
        encode_message({"type": "http.request"})
