"""The bridge in front of deployments that run in this process, and a client whose every message is seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from http_bridge.app import Bridge
from http_bridge.long_waits import LongWaits
from mesh.answers import answer_of, run_response
from mesh.config import DeploymentConfig
from mesh.context import RequestContext
from mesh.errors import DeploymentNotFound, RequestCancelled
from mesh.http import decode_request
from mesh.payload import BYTES, HTTP_REQUEST, HTTP_RESPONSE, Payload
from mesh.v1.endpoint_pb2 import Route

Handler = Callable[[Request], Awaitable[object]]


class FakeRouter:
    """Calls ``handler`` in this process with what went over the wire, and answers as a replica does."""

    def __init__(self, handler: Handler, config: DeploymentConfig | None) -> None:
        self.config = config
        self.contexts: list[RequestContext] = []
        self.timeouts_s: list[float | None] = []
        self._handler = handler

    async def wait_config(self) -> DeploymentConfig | None:
        return self.config

    def call(
        self,
        method: str,
        payload: Payload,
        context: RequestContext,
        items: AsyncIterator[Payload] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> asyncio.Future[Payload | FakeStream]:
        assert (method, payload.encoding) == ("__call__", HTTP_REQUEST)
        self.contexts.append(context)
        self.timeouts_s.append(timeout_s)
        request = decode_request(payload.body, None if items is None else Bodies(items))
        return asyncio.ensure_future(self._answer(request))

    async def _answer(self, request: Request) -> Payload | FakeStream:
        answer = await answer_of(await self._handler(request))
        if isinstance(answer, Response):
            return FakeStream(answer, request)
        return Payload(HTTP_RESPONSE, answer)


class Bodies:
    """The bodies of payloads."""

    def __init__(self, items: AsyncIterator[Payload]) -> None:
        self._items = items

    def __aiter__(self) -> Bodies:
        return self

    async def __anext__(self) -> bytes:
        return (await anext(self._items)).body


class FakeStream:
    """The items of an answer, made in a task of their own as in a replica, so that cancelling ends them at once."""

    def __init__(self, response: Response, request: Request) -> None:
        self._items: asyncio.Queue[Payload | BaseException] = asyncio.Queue(1)
        self._task = asyncio.ensure_future(self._produce(response, request))

    async def _produce(self, response: Response, request: Request) -> None:
        encoding = HTTP_RESPONSE

        async def give(piece: bytes) -> None:
            nonlocal encoding
            await self._items.put(Payload(encoding, piece))
            encoding = BYTES

        try:
            await run_response(response, request, give)
            await self._items.put(StopAsyncIteration())
        except Exception as error:
            await self._items.put(error)

    def __aiter__(self) -> FakeStream:
        return self

    async def __anext__(self) -> Payload:
        item = await self._items.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def cancel(self) -> None:
        self._task.cancel()
        if self._items.full():
            self._items.get_nowait()  # nobody reads it, and the end has to find room
        self._items.put_nowait(RequestCancelled("cancelled"))


class FakeMesh:
    """The deployments behind a bridge."""

    def __init__(self) -> None:
        self.bridge = Bridge(self._router, debug_errors=False)
        self.routers: dict[str, FakeRouter] = {}
        self._routes: list[Route] = []

    async def serve(self, prefix: str, handler: Handler, config: DeploymentConfig | None = None) -> FakeRouter:
        """Add a deployment, named by its prefix."""
        self.routers[prefix] = FakeRouter(handler, config)
        self._routes.append(Route(prefix=prefix, application="app", deployment=prefix))
        await self.publish(self._routes)
        return self.routers[prefix]

    async def publish(self, routes: list[Route]) -> None:
        async def sets() -> AsyncGenerator[list[Route], None]:
            yield routes

        await self.bridge.follow(sets())

    def _router(self, application: str, deployment: str) -> FakeRouter:
        if deployment not in self.routers:
            raise DeploymentNotFound(f"{application}/{deployment} does not exist")
        return self.routers[deployment]


@pytest.fixture
def mesh() -> FakeMesh:
    return FakeMesh()


@dataclass
class Browser:
    """One exchange as the server's side of ASGI sees it: what is put in is received, what was sent is kept."""

    bridge: Bridge
    received: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    sent: list[dict[str, Any]] = field(default_factory=list)
    answered: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None

    def ask(self, path: str = "/", method: str = "GET", *, headers: dict[str, str] | None = None, body: bytes = b"",
            more_body: bool = False) -> Browser:  # fmt: skip
        """Begin a request; with ``more_body`` its body goes on by :meth:`put`."""
        headers = dict(headers or {})
        if (body or more_body) and "content-length" not in map(str.lower, headers):
            headers["transfer-encoding"] = "chunked"
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        self.put(body, more_body=more_body)
        self.task = asyncio.ensure_future(self.bridge(scope, self.received.get, self._send))
        return self

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        self.answered.put_nowait(message)

    def put(self, body: bytes, *, more_body: bool) -> None:
        self.received.put_nowait({"type": "http.request", "body": body, "more_body": more_body})

    def leave(self) -> None:
        self.received.put_nowait({"type": "http.disconnect"})

    async def end(self) -> Browser:
        """Wait until the bridge is done with the request."""
        assert self.task is not None
        async with asyncio.timeout(5):
            await self.task
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


@pytest.fixture
def browser(mesh: FakeMesh) -> Browser:
    return Browser(mesh.bridge)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients listened to from the start, not only when a call takes long."""
    monkeypatch.setattr(LongWaits, "add", lambda _, client: client.listen())
