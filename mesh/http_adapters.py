"""Adapters: functions that make the input of a graph out of an HTTP request. A driver runs one on every request.

Each of these takes the request itself, so it works with or without FastAPI, and also as ``Depends(json_to_ndarray)``
in an adapter of the user's own. What they cannot read is answered with 422, and with 400 a body that is no JSON.
numpy, pandas and pillow are imported when they are needed; a driver that lacks one is refused when it is bound.

What an ``http_adapter`` of the user's may be is told in :mod:`mesh.graph_input`.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray as Array
    from pydantic import BaseModel

    class NdArray(BaseModel):
        """An array in JSON: nested lists, and the shape and the element type that they are to have."""

        array: Any
        shape: list[int] | None = None
        dtype: str | None = None


Adapter = Callable[[Request], Any]


async def starlette_request(request: Request) -> Request:
    """The request itself. This is what a driver without an adapter uses."""
    return request


async def json_request(request: Request) -> Any:
    """The body as JSON. A body that is no JSON is answered with 400."""
    body = await request.body()
    try:
        return json.loads(body)
    except ValueError as error:
        raise HTTPException(400, f"the body of the request is no JSON: {error}\n") from None


async def json_to_ndarray(request: Request) -> Array[Any]:
    """A numpy array from a body like ``{"array": [[1, 2]], "shape": [2, 1], "dtype": "float32"}``.

    ``shape`` and ``dtype`` may be left out.
    """
    return _to_ndarray(await json_request(request), "")


async def json_to_multi_ndarray(request: Request) -> dict[str, Array[Any]]:
    """Several numpy arrays by name, from a body like ``{"a": {"array": [1]}, "b": {"array": [2]}}``."""
    named = await json_request(request)
    if not isinstance(named, Mapping):
        raise _unreadable(f"the body has to be an object with an array for each name, not {_short(named)}")
    return {name: _to_ndarray(value, f"{name}.") for name, value in named.items()}


async def image_to_ndarray(request: Request) -> Array[Any]:
    """A numpy array, height x width x channels in uint8, from the image in the form field ``img``. Needs pillow."""
    async with request.form() as form:
        image = form.get("img")
        if image is None:
            raise _unreadable(f"the form has no field 'img' with an image; its fields: {', '.join(form) or 'none'}")
        if isinstance(image, str):
            raise _unreadable("the form field 'img' is text: send the image as a file (multipart/form-data)")
        content = await image.read()
    return await asyncio.to_thread(_image_array, content)  # other requests go on while a large one is unpacked


async def pandas_read_json(request: Request) -> pandas.DataFrame:
    """What ``pandas.read_json`` makes of the body; query parameters are passed on to it, as in ``?orient=records``."""
    import pandas

    await json_request(request)  # 400 where pandas would have something to say of its own
    parameters: dict[str, Any] = dict(request.query_params)
    try:
        return pandas.read_json(io.BytesIO(await request.body()), **parameters)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise _unreadable(f"pandas.read_json({parameters}): {type(error).__name__}: {error}") from error


PACKAGES: Final[Mapping[Adapter, tuple[str, ...]]] = {
    json_to_ndarray: ("numpy", "pydantic"),
    json_to_multi_ndarray: ("numpy", "pydantic"),
    image_to_ndarray: ("numpy", "PIL", "python_multipart"),
    pandas_read_json: ("pandas",),
}
"""The modules that an adapter imports when it is used."""


def __getattr__(name: str) -> Any:
    if name != "NdArray":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _ndarray_model()


@cache
def _ndarray_model() -> Any:
    """``NdArray``, made when it is first used: pydantic takes longer to import than the rest of a replica."""
    from pydantic import BaseModel

    fields = {"array": Any, "shape": list[int] | None, "dtype": str | None}
    doc = "An array in JSON: nested lists, and the shape and the element type that they are to have."
    defaults = {"shape": None, "dtype": None}
    return type(
        "NdArray", (BaseModel,), {"__annotations__": fields, "__module__": __name__, "__doc__": doc, **defaults}
    )


def _to_ndarray(value: object, place: str) -> Array[Any]:
    import numpy
    from pydantic import ValidationError

    try:
        read = __getattr__("NdArray").model_validate(value)
    except ValidationError as error:
        raise _unreadable(describe_validation(error, place)) from None
    try:
        made = numpy.array(read.array, dtype=read.dtype)
        if made.dtype == object:
            raise ValueError("it has elements that are neither numbers nor text")
        return made if read.shape is None else made.reshape(read.shape)
    except (ValueError, TypeError, OverflowError) as error:
        raise _unreadable(f"{place}array, as {read.dtype or 'numbers'} in shape {read.shape}: {error}") from None


def _image_array(content: bytes) -> Array[Any]:
    import numpy
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # numpy would turn an error in here into an array of one object
            return numpy.array(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(f"the form field 'img' is no image that pillow can read: {error}") from None


def describe_validation(error: Any, place: str = "") -> str:
    """What a ``pydantic.ValidationError`` has against which field, in one line."""
    return "; ".join(
        f"field '{place}{'.'.join(map(str, one['loc'])) or 'the body'}': {one['msg']}" for one in error.errors()
    )


def _unreadable(message: str) -> HTTPException:
    return HTTPException(422, f"{message}\n")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
