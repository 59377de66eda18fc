"""Adapters: functions that make the input of a graph out of an HTTP request. A driver runs one on every request.

An adapter takes one parameter, annotated as ``Request``; it may be ``async``. What it raises for input that it cannot
read becomes an answer of 422, or of the status of the ``HTTPException`` that it raises.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request

from mesh.errors import ConfigError, NotSupportedYet

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


def json_to_ndarray(request: Request) -> NoReturn:
    """Not in this version."""
    _refuse("json_to_ndarray")


def json_to_multi_ndarray(request: Request) -> NoReturn:
    """Not in this version."""
    _refuse("json_to_multi_ndarray")


def image_to_ndarray(request: Request) -> NoReturn:
    """Not in this version."""
    _refuse("image_to_ndarray")


def pandas_read_json(request: Request) -> NoReturn:
    """Not in this version."""
    _refuse("pandas_read_json")


class NdArray:
    """Not in this version."""

    def __init__(self, *_: object, **__: object) -> None:
        _refuse("NdArray")


def check_adapter(adapter: object) -> None:
    """Raise for what cannot be the ``http_adapter`` of a driver, so that nothing is started with it.

    :class:`mesh.errors.ConfigError` for what is no adapter, :class:`mesh.errors.NotSupportedYet` for the forms that a
    later version takes: import strings, pydantic models, and parameters that are read by their annotations.
    """
    if adapter in _LATER:
        _refuse(getattr(adapter, "__name__", repr(adapter)))
    if isinstance(adapter, str):
        raise NotSupportedYet(
            f"an http_adapter given by name ({adapter!r}) is not supported yet: import the function and pass it itself"
        )
    if isinstance(adapter, type):
        raise NotSupportedYet(
            f"a class as http_adapter ({adapter.__qualname__}) is not supported yet: "
            "write a function that takes the Request and returns an instance"
        )
    if not callable(adapter):
        raise ConfigError(f"http_adapter must be a function that takes the Request, not {adapter!r}")
    _check_parameters(adapter)


def _check_parameters(adapter: Callable[..., Any]) -> None:
    name = getattr(adapter, "__name__", repr(adapter))
    try:
        signature = inspect.signature(adapter, eval_str=True)
    except NameError as error:
        raise ConfigError(f"the annotations of http_adapter {name} cannot be read: {error}") from error
    for parameter in signature.parameters.values():
        if parameter.annotation is inspect.Parameter.empty:
            raise ConfigError(
                f"parameter {parameter.name!r} of http_adapter {name} has no annotation; "
                "an adapter takes one parameter, as in `def adapter(request: Request)`"
            )
        if not (isinstance(parameter.annotation, type) and issubclass(parameter.annotation, Request)):
            raise NotSupportedYet(
                f"parameter {parameter.name!r} of http_adapter {name} is annotated as {parameter.annotation!r}, and "
                "parameters that are read out of the request are not supported yet: take `request: Request`"
            )
    try:
        signature.bind(None)
    except TypeError as error:
        raise ConfigError(f"http_adapter {name} must take exactly one parameter, the Request: {error}") from None


def _refuse(name: str) -> NoReturn:
    raise NotSupportedYet(
        f"mesh.http_adapters.{name} is not supported yet; json_request gives the body as JSON, "
        "and an adapter of your own takes the Request"
    )


_LATER: Final = (json_to_ndarray, json_to_multi_ndarray, image_to_ndarray, pandas_read_json, NdArray)
