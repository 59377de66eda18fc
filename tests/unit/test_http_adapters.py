"""Adapters: what they make of a request, and what is refused as one."""

from __future__ import annotations

import io
import json
import sys
from typing import Annotated, Any

import numpy
import pandas
import pydantic
import pytest
from fastapi import Body, Depends, File, Form, HTTPException, Query, UploadFile
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from mesh import http_adapters
from mesh.errors import ConfigError
from mesh.graph_input import Refused, reader_of
from mesh.http import decode_request, encode_request
from mesh.http_adapters import (
    NdArray,
    image_to_ndarray,
    json_request,
    json_to_multi_ndarray,
    json_to_ndarray,
    pandas_read_json,
    starlette_request,
)

HEADERS = {"json": b"application/json", "form": b"multipart/form-data; boundary=x"}


def request_with(body: bytes, query: str = "", kind: str = "json", path: str = "/") -> Request:
    scope = {
        "method": "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"content-type", HEADERS[kind]), (b"content-length", b"%d" % len(body))],
    }
    return decode_request(encode_request(scope, "", body, body_follows=False, max_body_bytes=1_000_000))


def form_with(name: str, content: bytes, filename: str | None = "f") -> bytes:
    of_file = f'; filename="{filename}"' if filename else ""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"{of_file}\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


def picture(width: int = 3) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((width, 2), 50).convert("RGB").save(stream, "PNG")
    return stream.getvalue()


async def answer_to(adapter: object, request: Request) -> tuple[int, str]:
    """The answer with which an adapter refuses a request."""
    with pytest.raises(Refused) as refused:
        await reader_of(adapter)(request)
    answer: Response = refused.value.answer
    return answer.status_code, bytes(answer.body).decode()


# --- those that are shipped


@pytest.mark.feature("87")
async def test_the_request_itself() -> None:
    request = request_with(b"")
    assert await starlette_request(request) is request
    assert await reader_of(None)(request) is request


@pytest.mark.feature("88")
@pytest.mark.parametrize(("body", "value"), [(b"5", 5), (b'{"a": [null]}', {"a": [None]}), (b'"x"', "x")])
async def test_the_body_as_json(body: bytes, value: Any) -> None:
    assert await reader_of(json_request)(request_with(body)) == value


@pytest.mark.feature("88")
@pytest.mark.parametrize(
    "adapter",
    [json_request, json_to_ndarray, json_to_multi_ndarray, pandas_read_json],
    ids=lambda adapter: adapter.__name__,
)
@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
async def test_a_body_that_is_no_json_is_a_bad_request(adapter: Any, body: bytes) -> None:
    status, text = await answer_to(adapter, request_with(body))
    assert (status, "is no JSON" in text) == (400, True)


@pytest.mark.feature("89")
@pytest.mark.parametrize(
    ("body", "array"),
    [
        pytest.param({"array": [1, 2]}, numpy.array([1, 2]), id="numbers"),
        pytest.param({"array": [[1.5], [2]]}, numpy.array([[1.5], [2.0]]), id="lists of numbers"),
        pytest.param({"array": 3}, numpy.array(3), id="a scalar"),
        pytest.param({"array": []}, numpy.array([]), id="nothing"),
        pytest.param({"array": [1, 2, 3, 4], "shape": [2, -1]}, numpy.array([[1, 2], [3, 4]]), id="a shape"),
        pytest.param({"array": [1, 2], "dtype": "int8"}, numpy.array([1, 2], numpy.int8), id="a type"),
        pytest.param({"array": [1], "shape": None, "dtype": None}, numpy.array([1]), id="nulls"),
    ],
)
async def test_an_array(body: Any, array: numpy.ndarray[Any, Any]) -> None:
    made = await reader_of(json_to_ndarray)(request_with(json.dumps(body).encode()))
    assert (made.dtype, made.tolist()) == (array.dtype, array.tolist())


@pytest.mark.feature("89")
@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param([1, 2], "the body", id="no object"),
        pytest.param({"shape": [1]}, "field 'array': Field required", id="no array"),
        pytest.param({"array": [1], "shape": "x"}, "field 'shape'", id="no shape"),
        pytest.param({"array": [[1], [1, 2]]}, "array, as numbers", id="ragged"),
        pytest.param({"array": [1, 2], "shape": [3]}, "in shape [3]", id="a shape that does not fit"),
        pytest.param({"array": [1], "dtype": "bogus"}, "as bogus", id="an unknown type"),
        pytest.param({"array": ["x"], "dtype": "int8"}, "as int8", id="text for numbers"),
        pytest.param({"array": [300], "dtype": "uint8"}, "as uint8", id="a number that does not fit"),
        pytest.param({"array": [{"a": 1}]}, "neither numbers nor text", id="objects"),
        pytest.param({"array": None}, "neither numbers nor text", id="null"),
    ],
)
async def test_what_is_no_array_names_the_field(body: Any, says: str) -> None:
    status, text = await answer_to(json_to_ndarray, request_with(json.dumps(body).encode()))
    assert (status, says in text) == (422, True), text


@pytest.mark.feature("90")
async def test_several_arrays() -> None:
    body = {"a": {"array": [1]}, "b": {"array": [2], "dtype": "float32"}}
    made = await reader_of(json_to_multi_ndarray)(request_with(json.dumps(body).encode()))
    assert {name: (array.dtype, array.tolist()) for name, array in made.items()} == {
        "a": ("int64", [1]),
        "b": ("float32", [2]),
    }
    for wrong, says in (([1], "an object with an array for each name"), ({"a": {}}, "field 'a.array': Field required")):
        status, text = await answer_to(json_to_multi_ndarray, request_with(json.dumps(wrong).encode()))
        assert (status, says in text) == (422, True), text


@pytest.mark.feature("91")
async def test_an_image() -> None:
    sent = picture()
    made = await reader_of(image_to_ndarray)(request_with(form_with("img", sent), kind="form"))
    assert (made.shape, made.dtype) == ((2, 3, 3), "uint8")
    assert made.tolist() == numpy.array(Image.open(io.BytesIO(sent))).tolist()


@pytest.mark.feature("91")
@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        pytest.param(
            form_with("other", b"x"), "form", "no field 'img' with an image; its fields: other", id="no field"
        ),
        pytest.param(b"{}", "json", "no field 'img'", id="no form"),
        pytest.param(form_with("img", b"x", None), "form", "is text", id="text"),
        pytest.param(form_with("img", b"no image"), "form", "no image that pillow can read", id="no image"),
        pytest.param(form_with("img", picture(300)[:100]), "form", "no image that pillow can read", id="half an image"),
    ],
)
async def test_what_is_no_image_says_why(body: bytes, kind: str, says: str) -> None:
    status, text = await answer_to(image_to_ndarray, request_with(body, kind=kind))
    assert (status, says in text) == (422, True), text


@pytest.mark.feature("92")
async def test_a_frame() -> None:
    made = await reader_of(pandas_read_json)(request_with(b'[{"a": 1}, {"a": 2}]', "orient=records"))
    assert made.equals(pandas.DataFrame({"a": [1, 2]}))
    status, text = await answer_to(pandas_read_json, request_with(b"[]", "no_such=1"))
    assert (status, "no_such" in text) == (422, True), text


@pytest.mark.feature("5")
def test_the_model_of_an_array() -> None:
    made = NdArray(array=[1], dtype="int8")
    assert (made.array, made.shape, made.dtype) == ([1], None, "int8")
    least = NdArray(array=[1])
    assert (least.array, least.shape, least.dtype) == ([1], None, None)
    assert http_adapters.NdArray is NdArray
    with pytest.raises(AttributeError, match="no_such"):
        http_adapters.no_such  # noqa: B018


@pytest.mark.feature("92")
@pytest.mark.parametrize(
    ("adapter", "module", "package"),
    [
        (json_to_ndarray, "numpy", "numpy"),
        (json_to_multi_ndarray, "numpy", "numpy"),
        (image_to_ndarray, "PIL", "pillow"),
        (pandas_read_json, "pandas", "pandas"),
    ],
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, adapter: Any, module: str, package: str) -> None:
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_hooks", [])
    with pytest.raises(ConfigError, match=rf"{adapter.__name__} needs a package .*pip install {package}$"):
        reader_of(adapter)


# --- the forms that one may have


def plain(request: Request) -> str:
    return request.url.path


async def waiting(request: Request, /) -> str:
    return request.url.path


class Instance:
    def __call__(self, request: Request) -> str:
        return request.url.path


@pytest.mark.feature("85")
@pytest.mark.parametrize("adapter", [plain, waiting, Instance(), f"{__name__}:plain", f"{__name__}.plain"])
async def test_a_function_of_the_request(monkeypatch: pytest.MonkeyPatch, adapter: object) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[plain.__module__])
    assert await reader_of(adapter)(request_with(b"", path="/a")) == "/a"


class Model(pydantic.BaseModel):
    number: int
    text: str = ""


@pytest.mark.feature("85")
async def test_a_model() -> None:
    assert await reader_of(Model)(request_with(b'{"number": 3}')) == Model(number=3)
    status, text = await answer_to(Model, request_with(b'{"number": "x"}'))
    assert (status, text.startswith("the body is no Model: field 'number': ")) == (422, True), text
    status, text = await answer_to(Model, request_with(b"{"))
    assert (status, "is no JSON" in text) == (400, True)


@pytest.mark.feature("86")
async def test_what_an_adapter_raises_is_the_answer() -> None:
    def bad(request: Request) -> None:
        raise KeyError("colour")

    def teapot(request: Request) -> None:
        raise HTTPException(418, "short and stout")

    def broken(request: Request) -> None:
        raise OSError("no disk")

    assert await answer_to(bad, request_with(b"")) == (422, "bad cannot read the request: KeyError: 'colour'\n")
    assert await answer_to(teapot, request_with(b"")) == (418, "short and stout")
    with pytest.raises(OSError, match="no disk"):
        await reader_of(broken)(request_with(b""))


def of_query(number: int, text: str = "none") -> Any:
    return number, text


async def of_body(request: Request, item: Model, verbose: Annotated[bool, Query()] = False) -> Any:
    return request.url.path, item.number, verbose


def of_fields(number: Annotated[int, Body(embed=True)]) -> Any:
    return number


def of_form(name: Annotated[str, Form()]) -> Any:
    return name


async def of_file(img: Annotated[bytes, File()], other: UploadFile | None = None) -> Any:
    return img


def of_another(array: Annotated[Any, Depends(json_to_ndarray)], times: int = 1) -> Any:
    return (array * times).tolist()


def of_nothing() -> Any:
    return "always"


@pytest.mark.feature("86")
@pytest.mark.feature("93")
@pytest.mark.parametrize(
    ("adapter", "request_", "value"),
    [
        pytest.param(of_query, lambda: request_with(b"", "number=3"), (3, "none"), id="query parameters"),
        pytest.param(
            of_body, lambda: request_with(b'{"number": 3}', "verbose=1", path="/a/b"), ("/a/b", 3, True), id="a model"
        ),
        pytest.param(of_fields, lambda: request_with(b'{"number": 3}'), 3, id="a field of the body"),
        pytest.param(
            of_form, lambda: request_with(form_with("name", b"Ada", None), kind="form"), "Ada", id="a field of a form"
        ),
        pytest.param(of_file, lambda: request_with(form_with("img", b"123"), kind="form"), b"123", id="a file"),
        pytest.param(of_another, lambda: request_with(b'{"array": [1, 2]}', "times=2"), [2, 4], id="another adapter"),
        pytest.param(of_nothing, lambda: request_with(b""), "always", id="nothing"),
    ],
)
async def test_parameters_in_the_way_of_fastapi(adapter: Any, request_: Any, value: Any) -> None:
    assert await reader_of(adapter)(request_()) == value


@pytest.mark.feature("86")
async def test_input_that_fastapi_refuses_names_the_field() -> None:
    status, text = await answer_to(of_query, request_with(b"", "number=x"))
    assert (status, json.loads(text)["detail"][0]["loc"]) == (422, ["query", "number"])
    status, text = await answer_to(of_body, request_with(b'{"text": "x"}'))
    assert (status, json.loads(text)["detail"][0]["loc"]) == (422, ["body", "number"])
    status, text = await answer_to(of_another, request_with(b'{"array": [1], "shape": [2]}'))
    assert (status, "in shape [2]" in text) == (422, True)


@pytest.mark.feature("86")
def test_without_fastapi_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(ConfigError, match=r"mesh\[fastapi\]"):
        reader_of(of_query)
    reader_of(plain)


def unannotated(request) -> int:  # type: ignore[no-untyped-def]
    return 1


def unknown(request: NoSuchName) -> int:  # type: ignore[name-defined]  # noqa: F821
    return 1


def unreadable(place: dict[int, object]) -> int:
    return 1


@pytest.mark.feature("86")
@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        pytest.param(unannotated, "'request' of http_adapter unannotated has no annotation", id="bare"),
        pytest.param(lambda request: request, "has no annotation", id="a lambda"),
        pytest.param(unknown, "annotations of http_adapter unknown cannot be read: .*NoSuchName", id="an unknown name"),
        pytest.param(5, "not 5", id="no function"),
        pytest.param("nowhere", "is no import path: write 'module:function'", id="no path"),
        pytest.param("no_such_module:adapter", "no_such_module", id="no module"),
        pytest.param("mesh.http_adapters:no_such", "no_such", id="no function of a module"),
        pytest.param(dict, "dict is a class, and no pydantic model", id="a class that is no model"),
    ],
)
def test_what_cannot_be_an_adapter_is_refused(adapter: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        reader_of(adapter)
