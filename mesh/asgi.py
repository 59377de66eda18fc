"""``@mesh.ingress(app)``: an ASGI application, FastAPI's or any other, as a deployment.

The application sees requests as under any server: the whole path in ``scope["path"]``, the route prefix in
``root_path``. Nothing here imports fastapi; an application of FastAPI is known by its routes.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.errors import ConfigError
from mesh.http import WireRequest
from mesh.websocket import WireWebSocket

C = TypeVar("C", bound=type)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ingress:
    """What a class was decorated with, and by which name its methods know that they are its routes."""

    application: Any
    owner: str


def ingress(application: ASGIApp | Callable[..., ASGIApp] | str) -> Callable[[C], C]:
    """Makes a class answer HTTP by an ASGI application; ``@mesh.deployment`` goes above it.

    ``application`` is the application itself, its import path "module:name", or a function that makes it in the
    replica: without parameters, or with one, which is the object. Methods that the application's own decorators made
    routes of (``@app.get(...)``) are called with ``self``. Its lifespan runs once in every replica.

    >>> import mesh
    >>> from starlette.applications import Starlette
    >>> @mesh.ingress(Starlette())
    ... class Site: ...

    Raises :class:`mesh.errors.ConfigError` for what is no application and for a class with a ``__call__`` of its own.
    """
    if not callable(application) and not (isinstance(application, str) and all(application.partition(":"))):
        raise ConfigError(
            'mesh.ingress takes an ASGI application, a function that makes one, or an import path "module:name", '
            f"not {application!r}"
        )

    def decorate(target: C) -> C:
        if not isinstance(target, type):
            raise ConfigError(f"@mesh.ingress goes on a class, below @mesh.deployment, not on {target!r}")
        if "__call__" in vars(target):
            raise ConfigError(f"{target.__qualname__} has a __call__, but its ingress answers HTTP: remove one of them")
        owner = f"{target.__module__}:{target.__qualname__}"
        for member in vars(target).values():
            # Any of them may be a route, if not yet: of a router that the application includes later.
            if inspect.isfunction(member) and member.__qualname__.startswith(f"{target.__qualname__}."):
                member.__dict__["__mesh_method_of__"] = owner
        decorated: Any = target
        decorated.__mesh_ingress__ = Ingress(application, owner)
        decorated.__call__ = _answer
        return target

    return decorate


async def _answer(self: Any, connection: HTTPConnection) -> Response | None:
    """``__call__`` of a class with an ingress."""
    application, state = self.__mesh_application__, dict(self.__mesh_state__)
    if isinstance(connection, Request):
        return ApplicationAnswer(application, connection, state)
    assert isinstance(connection, WireWebSocket)
    scope = {**connection.scope, "path": connection.whole_path, "state": state}
    await application(scope, connection._receive, connection._send)
    return None


class ApplicationAnswer(Response):
    """What an application answers to one request; :func:`mesh.answers.run_response` runs it."""

    def __init__(self, application: ASGIApp, request: Request, state: dict[str, Any]) -> None:
        self.background = None
        self._application = application
        self._request = request
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._request
        whole_path = request.whole_path if isinstance(request, WireRequest) else request.scope["path"]
        scope = {**scope, "path": whole_path, "state": self._state}
        is_complete = False

        async def watch(message: Message) -> None:
            nonlocal is_complete
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._application(scope, request.receive, watch)
        except Exception:
            if not is_complete:
                raise
            _log.exception("the application failed path=%s", whole_path)  # the client has its answer, mostly a 500


def open_application(built: Any, state: dict[str, Any], own: Callable[[Any], Any]) -> ASGIApp | None:
    """The application of a replica's object, its routes bound to that; None for an object without an ingress.

    ``state`` is what its lifespan yields, for every request. ``own`` gives the application of this replica alone for
    one that others may have, too. Runs the user's code: raises whatever it raises.
    """
    known: Ingress | None = getattr(type(built), "__mesh_ingress__", None)
    if known is None:
        return None
    application = known.application
    if isinstance(application, str):
        module, _, name = application.partition(":")
        application = getattr(importlib.import_module(module), name)
    needed = _parameters_needed(application)
    if needed > 1:
        application = own(application)
    else:
        application = application(built) if needed else application()
    if not callable(application):
        raise ConfigError(f"the ingress of {known.owner} made no ASGI application but {application!r}")
    _bind_routes(application, built)
    built.__mesh_application__, built.__mesh_state__ = application, state
    opened: ASGIApp = application
    return opened


def _parameters_needed(application: Any) -> int:
    """3 for an application; 0 or 1 for a function that makes one."""
    if isinstance(application, type):
        return 3
    try:
        parameters = inspect.signature(application).parameters.values()
    except (TypeError, ValueError):
        return 3
    return len(
        [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    )


def _bind_routes(application: Any, built: Any) -> None:
    """Give the routes that are methods of the object their ``self``; drop those that are methods of other classes."""
    owners = {vars(base)["__mesh_ingress__"].owner for base in type(built).__mro__ if "__mesh_ingress__" in vars(base)}
    for router in _routers_of(application):
        routes = []
        for route in router.routes:
            endpoint: Any = getattr(route, "endpoint", None)
            owner = getattr(endpoint, "__mesh_method_of__", None)
            if owner is None:
                routes.append(route)
            elif owner in owners:
                routes.append(_with_endpoint(route, getattr(built, endpoint.__name__)))
        router.routes[:] = routes
        if hasattr(router, "_mark_routes_changed"):  # FastAPI remembers the routes of a router that was included
            router._mark_routes_changed()


def _with_endpoint(route: Any, endpoint: Callable[..., Any]) -> Any:
    """The same route with another function behind it, made anew: its parameters come from the function's signature."""
    names = list(inspect.signature(type(route).__init__).parameters)[1:]
    settings = {name: getattr(route, name) for name in names if name != "endpoint" and hasattr(route, name)}
    return type(route)(endpoint=endpoint, **settings)


def _routers_of(application: Any) -> Iterator[Any]:
    """The router of an application, and those that it includes or mounts, each once."""
    waiting: list[Any] = [getattr(application, "router", None)]
    seen: set[int] = set()
    while waiting:
        router = waiting.pop()
        if id(router) in seen or not isinstance(getattr(router, "routes", None), list):
            continue
        seen.add(id(router))
        yield router
        for route in router.routes:
            waiting += [getattr(route, "original_router", None), getattr(getattr(route, "app", None), "router", None)]
