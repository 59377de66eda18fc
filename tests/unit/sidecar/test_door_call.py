"""Situations of arguments and answers of calls through the door, in the replica."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from mesh.config import MethodKind
from mesh.errors import InvalidArgument, PayloadError
from mesh.v1.payload_pb2 import DoorCall
from mesh.v1.predict_pb2 import PredictResponse, PredictStreamResponse
from sidecar.door_call import encode_answer, read_arguments
from sidecar.user_code import BoundMethod


def _read(function: Callable[..., Any], body: bytes, *, is_json: bool = True) -> tuple[Any, ...]:
    method = BoundMethod(function, MethodKind.DEF, without_parameters=False)
    return read_arguments(method, DoorCall(is_json=is_json, body=body).SerializeToString())


def _one_or_none(value: Any = None) -> None: ...


def _one(value: Any) -> None: ...


def _none() -> None: ...


def _named(*, value: Any) -> None: ...


@pytest.mark.parametrize(
    ("body", "is_json", "arguments"),
    [
        pytest.param(b"[1, 2]", True, ([1, 2],), id="array is one argument"),
        pytest.param(b"0", True, (0,), id="zero is an argument"),
        pytest.param(b"null", True, (), id="null is none"),
        pytest.param(b"", True, (), id="empty is none"),
        pytest.param(b"", False, (b"",), id="no bytes are bytes"),
        pytest.param(b"cos\nsystem\n.", False, (b"cos\nsystem\n.",), id="a pickle is bytes"),
    ],
)
def test_body_becomes_one_argument_or_none(body: bytes, is_json: bool, arguments: tuple[Any, ...]) -> None:
    assert _read(_one_or_none, body, is_json=is_json) == arguments


@pytest.mark.parametrize(
    ("function", "body", "says"),
    [
        pytest.param(_one, b"", "no argument", id="one is missing"),
        pytest.param(_none, b"1", "too many positional", id="takes none"),
        pytest.param(_named, b"1", r"\(\*, value", id="takes it by name"),
        pytest.param(_one, b"{", "no JSON", id="no JSON"),
        pytest.param(_one, b"Infinity", "Infinity is no value of JSON", id="infinity"),
        pytest.param(_one, b"\xff\xfe", "no JSON", id="no text"),
        pytest.param(_one, b"[" * 100_000, "no JSON", id="too deep"),
    ],
)
def test_what_cannot_be_the_argument_is_refused(function: Callable[..., Any], body: bytes, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        _read(function, body)


def test_function_whose_parameters_nobody_can_tell_is_called() -> None:
    assert _read(max, b"[1, 2]") == ([1, 2],)


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        (None, "application/json", b"null"),
        ("text", "application/json", b'"text"'),
        ({"a": {1}}, "application/json", b'{"a":[1]}'),
        (b"\x00", "application/octet-stream", b"\x00"),
        (memoryview(b"\x00"), "application/octet-stream", b"\x00"),
    ],
)
async def test_bytes_stay_bytes_and_everything_else_is_json(value: Any, content_type: str, body: bytes) -> None:
    wire = await encode_answer(value)
    for kind in (PredictResponse, PredictStreamResponse):
        answer = kind.FromString(wire)
        assert (answer.content_type, answer.body) == (content_type, body)


@pytest.mark.parametrize("value", [object(), PlainTextResponse("hello")])
async def test_answer_without_a_form_is_refused(value: Any) -> None:
    with pytest.raises(PayloadError):
        await encode_answer(value)
