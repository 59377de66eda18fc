"""The ASGI application of the bridge: it finds the deployment that answers and lets it.

It is plain ASGI, because it stands before every request; the real ``Request`` is built where user code reads it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterable, Callable, Iterable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from http_bridge.client import ClientGone
from http_bridge.errors import Answer, error_answer, text_answer
from http_bridge.exchange import Router, exchange, send_head
from http_bridge.long_waits import LongWaits
from http_bridge.request_head import read_head
from http_bridge.routes import Route, Routes
from mesh.errors import MeshError, MeshUnavailable

_log = logging.getLogger(__name__)

ROUTES_TIMEOUT_S: Final = 10.0
"""How long a request waits for the first routes after the bridge has started."""


class Bridge:
    """The application. ``router`` gives the router of (application, deployment); ``debug_errors`` shows tracebacks."""

    def __init__(self, router: Callable[[str, str], Router], *, debug_errors: bool) -> None:
        self._router = router
        self._debug_errors = debug_errors
        self._routes: Routes | None = None
        self._routes_known = asyncio.Event()
        self._waits = LongWaits()

    async def follow(self, route_sets: AsyncIterable[Iterable[Route]]) -> None:
        """Take over every set of routes as it comes."""
        async for routes in route_sets:
            self._routes = Routes(routes)
            self._routes_known.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1011, "reason": _NO_WEBSOCKETS})
            return
        assert scope["type"] == "http", scope["type"]
        head = read_head(scope)
        path: str = scope["path"]
        answer: Answer | None
        try:
            if head.wants_websocket:
                raise HTTPException(501, f"{_NO_WEBSOCKETS}\n")
            if path.startswith("/-/"):
                answer = await self._own_page(path, scope["method"])
            elif (match := (self._routes or await self._first_routes()).match(path)) is None:
                answer = text_answer(404, f"No deployment answers at {path!r}. GET /-/routes lists the routes.\n")
            else:
                router = self._router(match.route.application, match.route.deployment)
                answer = await exchange(router, match.taken, head, scope, receive, send, self._waits)
        except ClientGone:
            return
        except Exception as error:
            answer = self._error_answer(error, head.request_id)
        if answer is not None:
            await send_head(send, answer.status, answer.headers, head.request_id)
            await send({"type": "http.response.body", "body": answer.body})

    async def _own_page(self, path: str, method: str) -> Answer:
        if path not in ("/-/healthz", "/-/routes"):
            return text_answer(404, f"There is nothing at {path!r}; the bridge itself has /-/routes and /-/healthz.\n")
        if method not in ("GET", "HEAD"):
            return text_answer(405, f"{path} answers GET, not {method}.\n", (b"allow", b"GET, HEAD"))
        if path == "/-/healthz" and self._routes is None:
            return text_answer(503, "starting\n", (b"retry-after", b"1"))
        if path == "/-/healthz":
            return text_answer(200, "success\n")
        table = (self._routes or await self._first_routes()).table()
        body = json.dumps(table).encode()
        return Answer(200, [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")], body)

    async def _first_routes(self) -> Routes:
        try:
            async with asyncio.timeout(ROUTES_TIMEOUT_S):
                await self._routes_known.wait()
        except TimeoutError:
            raise MeshUnavailable("the bridge has just started and does not know the routes yet") from None
        assert self._routes is not None
        return self._routes

    def _error_answer(self, error: Exception, request_id: str) -> Answer:
        expected = isinstance(error, MeshError | HTTPException) or hasattr(error, "__mesh_detail__")
        if not expected:
            _log.error("the bridge failed request_id=%s", request_id, exc_info=error)
        return error_answer(error, debug=self._debug_errors)


_NO_WEBSOCKETS: Final = "WebSockets are not supported yet by this version of mesh"
