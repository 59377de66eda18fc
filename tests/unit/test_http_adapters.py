"""Adapters: what they make of a request, and what is refused as one."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from mesh import http_adapters
from mesh.errors import ConfigError, NotSupportedYet
from mesh.http import decode_request, encode_request
from mesh.http_adapters import check_adapter, json_request, starlette_request


def request_with(body: bytes) -> Request:
    scope = {"method": "POST", "path": "/", "headers": []}
    return decode_request(encode_request(scope, "", body, body_follows=False, max_body_bytes=1000))


async def test_the_request_itself() -> None:
    request = request_with(b"")
    assert await starlette_request(request) is request


@pytest.mark.parametrize(("body", "value"), [(b"5", 5), (b'{"a": [null]}', {"a": [None]}), (b'"x"', "x")])
async def test_the_body_as_json(body: bytes, value: Any) -> None:
    assert await json_request(request_with(body)) == value


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
async def test_a_body_that_is_no_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(HTTPException, match="is no JSON") as refusal:
        await json_request(request_with(body))
    assert refusal.value.status_code == 400


def plain(request: Request) -> int:
    return 1


async def waiting(request: Request, /) -> int:
    return 1


class Callable:
    def __call__(self, request: Request) -> int:
        return 1


class Model(pydantic.BaseModel):
    x: int


def unannotated(request) -> int:  # type: ignore[no-untyped-def]
    return 1


def field(x: int) -> int:
    return x


def two(request: Request, other: Request) -> int:
    return 1


def none() -> int:
    return 1


@pytest.mark.parametrize("adapter", [plain, waiting, Callable(), starlette_request, json_request])
def test_an_adapter_takes_the_request(adapter: object) -> None:
    check_adapter(adapter)


@pytest.mark.parametrize(
    ("adapter", "error", "message"),
    [
        pytest.param(unannotated, ConfigError, "'request' of http_adapter unannotated has no annotation", id="bare"),
        pytest.param(lambda request: request, ConfigError, "has no annotation", id="a lambda"),
        pytest.param(two, ConfigError, "two must take exactly one parameter", id="two parameters"),
        pytest.param(none, ConfigError, "none must take exactly one parameter", id="no parameter"),
        pytest.param(5, ConfigError, "not 5", id="no function"),
        pytest.param(field, NotSupportedYet, "'x' of http_adapter field is annotated as", id="a parameter to be read"),
        pytest.param("module.adapter", NotSupportedYet, "import the function", id="a name"),
        pytest.param(Model, NotSupportedYet, "Model", id="a pydantic model"),
        pytest.param(http_adapters.json_to_ndarray, NotSupportedYet, "json_to_ndarray", id="one of later"),
        pytest.param(http_adapters.NdArray, NotSupportedYet, "NdArray", id="the model of later"),
    ],
)
def test_what_cannot_be_an_adapter_is_refused(adapter: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_adapter(adapter)


@pytest.mark.parametrize("name", ["json_to_ndarray", "json_to_multi_ndarray", "image_to_ndarray", "pandas_read_json"])
def test_what_a_later_version_brings_says_so_when_it_is_used(name: str) -> None:
    with pytest.raises(NotSupportedYet, match=f"{name} is not supported yet"):
        getattr(http_adapters, name)(request_with(b""))
    with pytest.raises(NotSupportedYet, match="NdArray is not supported yet"):
        http_adapters.NdArray(array=[1])
