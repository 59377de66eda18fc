"""One HTTP request as one call of a deployment: the request in, the answer out, cancelled when the client leaves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator
from typing import Any, Final, Protocol

from starlette.types import Receive, Scope, Send

from http_bridge.client import IS_GONE, Client
from http_bridge.errors import Answer
from http_bridge.long_waits import LongWaits
from http_bridge.request_head import RequestHead
from mesh.answers import decode_response
from mesh.config import DeploymentConfig
from mesh.context import RequestContext, encode_call_context
from mesh.deadline import after
from mesh.errors import DeadlineExceeded, MeshError, MeshUnavailable, RequestCancelled
from mesh.http import encode_request, too_large
from mesh.payload import HTTP_REQUEST, Payload

_log = logging.getLogger(__name__)


class ItemStream(Protocol):
    """The answer of a replica that streams."""

    def __aiter__(self) -> AsyncIterator[Payload]: ...

    def cancel(self) -> object: ...


class Call(Protocol):
    """A call under way."""

    def __await__(self) -> Generator[Any, None, Payload | ItemStream]: ...

    def cancel(self) -> object: ...


class Router(Protocol):
    """What the bridge needs of the router of a deployment."""

    @property
    def config(self) -> DeploymentConfig | None: ...

    async def wait_config(self) -> DeploymentConfig | None: ...

    def call(
        self,
        method: str,
        payload: Payload,
        context: RequestContext,
        items: AsyncIterator[Payload] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Call: ...


async def exchange(
    router: Router, prefix: str, head: RequestHead, scope: Scope, receive: Receive, send: Send, waits: LongWaits
) -> Answer | None:
    """The answer of the deployment behind ``router``; None when it has been sent already, because it streams.

    Raises what the call raised, :class:`http_bridge.client.ClientGone` when nobody is there to be answered.
    """
    config = router.config or await first_config(router, head)
    limit_bytes = config.max_body_bytes
    if head.content_length > limit_bytes:
        raise too_large(limit_bytes)
    timeout_s = head.timeout_s(config.request_timeout_s)
    wire = encode_call_context(head.traceparent, (), head.model_id)
    context = RequestContext(head.request_id, after(timeout_s), head.traceparent, (), head.model_id, wire)
    is_gone = scope.get("extensions", {}).get(IS_GONE, _unknown)
    client = Client(receive, limit_bytes, waits, has_body=head.has_body, is_gone=is_gone)
    body = await _read_body(client, timeout_s) if head.has_body else b""
    request = encode_request(scope, prefix, body or b"", body_follows=body is None, max_body_bytes=limit_bytes)
    items = client if body is None else None
    call = router.call("__call__", Payload(HTTP_REQUEST, request), context, items, timeout_s=timeout_s)
    client.cancel_when_gone(call.cancel)
    try:
        result = await call
        if isinstance(result, Payload):
            status, headers, content, _ = decode_response(result.body)
            return Answer(status, headers, content)
        await _relay(result, client, send, head.request_id, only_head=scope["method"] == "HEAD")
        return None
    except (asyncio.CancelledError, MeshError) as error:
        if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
            raise
        if client.failed is not None:
            raise client.failed from error
        if isinstance(error, asyncio.CancelledError):
            raise RequestCancelled("the mesh cancelled the request") from error
        raise
    finally:
        client.stop_listening()


async def first_config(router: Router, head: RequestHead) -> DeploymentConfig:
    """The limits that hold for the first request of a deployment, too."""
    try:
        async with asyncio.timeout(head.timeout_s(_DEFAULT_CONFIG.request_timeout_s)):
            return await router.wait_config() or _DEFAULT_CONFIG
    except TimeoutError:
        raise MeshUnavailable("the bridge does not know the settings of the deployment yet") from None


async def _read_body(client: Client, timeout_s: float | None) -> bytes | None:
    if timeout_s is None:
        return await client.read_body()
    try:
        async with asyncio.timeout(timeout_s):
            return await client.read_body()
    except TimeoutError:
        raise DeadlineExceeded(f"the body of the request did not arrive within {timeout_s:g} s") from None


async def _relay(stream: ItemStream, client: Client, send: Send, request_id: str, *, only_head: bool) -> None:
    """Send a streaming answer on as it comes; the call's timeout holds from one piece to the next.

    An empty piece is the end of the body; what comes after it is background work, which nobody's leaving cancels. An
    answer that fails half way is left without its end: the server closes the connection, and the client sees the cut.
    """
    client.cancel_when_gone(stream.cancel)
    items = aiter(stream)
    try:
        first = await _next(items)
        if first is None:
            raise MeshError("the replica ended its answer before it began")
        status, headers, body, body_follows = decode_response(first)
        try:
            await send_head(send, status, headers, request_id)
            while body_follows and not only_head and (piece := await _next(items)):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                client.was_sent()
            client.stop_listening()
            await send({"type": "http.response.body", "body": body})
            while not only_head and await _next(items) is not None:
                pass
        except (asyncio.CancelledError, Exception) as error:
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                raise
            if client.failed is None:
                _log.warning("an answer was cut off request_id=%s error=%r", request_id, error)
    finally:
        stream.cancel()


async def _next(items: AsyncIterator[Payload]) -> bytes | None:
    """The next item's bytes, None at the end."""
    try:
        return (await anext(items)).body
    except StopAsyncIteration:
        return None


async def send_head(send: Send, status: int, headers: list[tuple[bytes, bytes]], request_id: str) -> None:
    """Start a response that bears the request's id, unless the user's code gave it another."""
    for name, _ in headers:
        if name == b"x-request-id":
            break
    else:
        headers.append((b"x-request-id", request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _unknown() -> bool:
    """Whether the client is gone, where the server does not tell."""
    return False


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_DEFAULT_CONFIG: Final = DeploymentConfig()
