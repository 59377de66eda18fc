"""The input of a graph out of an HTTP request: what ``http_adapter`` may be, and how each form is called.

- a function whose one parameter is annotated as ``Request``, plain or ``async``;
- the same by name: ``"module:function"`` or ``"module.function"``;
- a pydantic model class: the body is read into it;
- a function with parameters in the way of FastAPI (query parameters, ``Body``, ``File``, ``Depends``), which FastAPI
  reads; this needs the extra ``mesh[fastapi]``.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, get_type_hints

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message

from mesh.errors import ConfigError, MeshError
from mesh.http import ASGI_VERSION
from mesh.http_adapters import PACKAGES, Adapter, describe_validation, json_request, starlette_request

Reader: TypeAlias = Callable[[Request], Awaitable[Any]]
"""Gives the graph's input; raises :class:`Refused` with the answer when the request cannot be read."""


class Refused(Exception):
    """The request cannot be read; ``answer`` says why."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def reader_of(adapter: object) -> Reader:
    """How the input is read by ``adapter``, in any of the forms above; None is the request itself.

    Raises :class:`mesh.errors.ConfigError` for what is no adapter and for one that lacks a package.
    """
    if adapter is None:
        return starlette_request
    if isinstance(adapter, str):
        adapter = _imported(adapter)
    if isinstance(adapter, type) and hasattr(adapter, "model_validate"):
        return _reader_into_model(adapter)
    if not callable(adapter):
        raise ConfigError(
            f"http_adapter must be a function, the name of one, or a pydantic model class, not {adapter!r}"
        )
    if isinstance(adapter, type):
        raise ConfigError(f"http_adapter {adapter.__qualname__} is a class, and no pydantic model: write a function")
    _check_packages(adapter)
    if _takes_the_request(adapter):
        return _plain_reader(adapter)
    return _fastapi_reader(adapter)


def _imported(path: str) -> object:
    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    if not module_name or not attribute:
        raise ConfigError(f"http_adapter {path!r} is no import path: write 'module:function'")
    try:
        return getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"http_adapter {path!r} cannot be imported: {error}") from error


def _check_packages(adapter: Any) -> None:
    needed = PACKAGES.get(adapter, ()) if getattr(adapter, "__hash__", None) else ()
    missing = [_PACKAGE_OF.get(name, name) for name in needed if not _is_importable(name)]
    if missing:
        raise ConfigError(
            f"http_adapter {_name(adapter)} needs a package that is not installed: pip install {' '.join(missing)}"
        )


def _is_importable(module: str) -> bool:
    return module in sys.modules or importlib.util.find_spec(module) is not None


_PACKAGE_OF: Final = {"PIL": "pillow", "python_multipart": "python-multipart"}


def _takes_the_request(adapter: Callable[..., Any]) -> bool:
    """It has one parameter that has to be given, and that is the request; the others are for FastAPI to find."""
    parameters, annotations = inspect.signature(adapter).parameters, _annotations(adapter)
    for name in parameters:
        if name not in annotations:
            raise ConfigError(
                f"parameter {name!r} of http_adapter {_name(adapter)} has no annotation, so nobody knows what it "
                "takes; write `request: Request`, or what FastAPI reads, as in `x: int` for a query parameter"
            )
    kinds = [annotations[name] for name in parameters]
    return len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Request)


def _annotations(adapter: Any) -> dict[str, Any]:
    """Those of the parameters, evaluated. What it returns may be known to type checkers only."""
    function = adapter if hasattr(adapter, "__annotations__") else type(adapter).__call__

    def parameters() -> None: ...

    parameters.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    try:
        return get_type_hints(parameters, getattr(inspect.unwrap(function), "__globals__", {}), include_extras=True)
    except NameError as error:
        raise ConfigError(f"the annotations of http_adapter {_name(adapter)} cannot be read: {error}") from error


# --- the forms, each as an asynchronous function of the request


def _plain_reader(adapter: Adapter) -> Reader:
    async def read(request: Request) -> Any:
        try:
            value = adapter(request)
            return await value if inspect.isawaitable(value) else value
        except HTTPException as refusal:
            raise Refused(_answer(refusal)) from refusal
        except MeshError:
            raise
        except _BAD_INPUT as error:
            raise Refused(_unreadable(adapter, error)) from error

    return read


def _reader_into_model(model: Any) -> Reader:
    from pydantic import ValidationError

    async def read(request: Request) -> Any:
        try:
            return model.model_validate(await json_request(request))
        except HTTPException as refusal:
            raise Refused(_answer(refusal)) from refusal
        except ValidationError as error:
            text = f"the body is no {model.__name__}: {describe_validation(error)}\n"
            raise Refused(PlainTextResponse(text, 422)) from error

    return read


def _fastapi_reader(adapter: Callable[..., Any]) -> Reader:
    """Have FastAPI call ``adapter`` as a dependency of an endpoint that does nothing else."""
    try:
        from fastapi import Depends, FastAPI
    except ImportError:
        raise ConfigError(
            f"http_adapter {_name(adapter)} has parameters that FastAPI reads, which is not installed: "
            "pip install 'mesh[fastapi]', or take one parameter `request: Request`"
        ) from None
    app = FastAPI(openapi_url=None)

    async def endpoint(request: Request, value: Any) -> Response:
        request.scope[_VALUE] = value
        return Response()

    endpoint.__annotations__ = {"request": Request, "value": Any}
    endpoint.__defaults__ = (Depends(adapter),)
    try:
        app.add_api_route("/{path:path}", endpoint, methods=["GET", "POST"], response_model=None)
    except Exception as error:  # what FastAPI raises here has no common class but this one
        raise ConfigError(f"FastAPI cannot call http_adapter {_name(adapter)}: {error}") from error

    async def read(request: Request) -> Any:
        scope = {**request.scope, "asgi": ASGI_VERSION, "path": f"/{request.scope['path'].lstrip('/')}"}
        answer = _Collected()
        try:
            await app(scope, request.receive, answer.send)
        except MeshError:
            raise
        except _BAD_INPUT as error:
            raise Refused(_unreadable(adapter, error)) from error
        if _VALUE not in scope:
            raise Refused(answer.response())
        return scope[_VALUE]

    return read


class _Collected:
    """An answer of FastAPI's, kept instead of sent."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def send(self, message: Message) -> None:
        """What an ASGI application calls."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
        else:
            self._body += message.get("body", b"")

    def response(self) -> Response:
        """The answer as a whole."""
        response = Response(self._body, self._status)
        response.raw_headers = self._headers
        return response


def _answer(refusal: HTTPException) -> Response:
    return PlainTextResponse(refusal.detail, refusal.status_code, refusal.headers)


def _unreadable(adapter: object, error: BaseException) -> Response:
    return PlainTextResponse(f"{_name(adapter)} cannot read the request: {type(error).__name__}: {error}\n", 422)


def _name(adapter: object) -> str:
    return str(getattr(adapter, "__name__", repr(adapter)))


_BAD_INPUT: Final = (ValueError, TypeError, LookupError)
_VALUE: Final = "mesh.graph_input"
