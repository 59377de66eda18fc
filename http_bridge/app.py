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
from http_bridge.request_head import RequestHead, read_head
from http_bridge.routes import Route, Routes
from http_bridge.websocket import relay_websocket
from mesh.errors import MeshError, MeshUnavailable
from mesh.websocket import refusal_messages

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
        head = read_head(scope)
        is_websocket = scope["type"] == "websocket"
        try:
            if is_websocket:
                answer = await self._answer_websocket(head, scope, receive, send)
            else:
                answer = await self._answer(head, scope, receive, send)
        except ClientGone:
            return
        except Exception as error:
            answer = self._error_answer(error, head.request_id)
        if answer is None:
            return
        if is_websocket:
            for message in refusal_messages(answer.status, answer.headers, answer.body):
                await send(message)
        else:
            await send_head(send, answer.status, answer.headers, head.request_id)
            await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, head: RequestHead, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        path: str = scope["path"]
        if path.startswith("/-/"):
            return await self._own_page(path, scope["method"])
        match = (self._routes or await self._first_routes()).match(path)
        if match is None:
            return _no_route(path)
        router = self._router(match.route.application, match.route.deployment)
        return await exchange(router, match.taken, head, scope, receive, send, self._waits)

    async def _answer_websocket(self, head: RequestHead, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        path: str = scope["path"]
        match = None if path.startswith("/-/") else (self._routes or await self._first_routes()).match(path)
        if match is None:
            return _no_route(path)
        router = self._router(match.route.application, match.route.deployment)
        await relay_websocket(router, match.taken, head, scope, receive, send)
        return None

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


def _no_route(path: str) -> Answer:
    return text_answer(404, f"No deployment answers at {path!r}. GET /-/routes lists the routes.\n")
