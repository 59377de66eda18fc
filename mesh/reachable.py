"""Whether bridges and door know an application yet: they hear of it on their own, a moment before or after others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

ROUTE_TIMEOUT_S = 5.0
"""A bridge or a door that was killed is back and knows what there is long before this."""

_ASK_AGAIN_S = 0.01


async def wait_reachable(lines: Sequence[str], prefix: str, deployment: str) -> bool:
    """Wait until every bridge, each asked by the unix socket of its own, sends ``prefix`` to ``deployment``; False when
    one of them still does not after :data:`ROUTE_TIMEOUT_S`.
    """
    try:
        async with asyncio.timeout(ROUTE_TIMEOUT_S):
            for line in lines:
                while (await _routes(line)).get(prefix) != deployment:  # noqa: ASYNC110 - it is another process that changes
                    await asyncio.sleep(_ASK_AGAIN_S)
            return True
    except TimeoutError:
        return False


async def _routes(line: str) -> dict[str, Any]:
    """A bridge's table of routes; empty while it does not answer."""
    try:
        reader, writer = await asyncio.open_unix_connection(line)
    except OSError:
        return {}
    try:
        writer.write(b"GET /-/routes HTTP/1.1\r\nHost: mesh\r\nConnection: close\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return dict(json.loads(body)) if head.startswith(b"HTTP/1.1 200") else {}
    except (OSError, ValueError):
        return {}
    finally:
        writer.close()


async def wait_serving(host: str, port: int, application: str) -> bool:
    """Wait until the door at ``host``:``port`` says that ``application`` is serving; False when it still does not
    after :data:`ROUTE_TIMEOUT_S`.
    """
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(ROUTE_TIMEOUT_S):
            while not await _is_serving(address, application):  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(_ASK_AGAIN_S)
            return True
    except TimeoutError:
        return False


async def _is_serving(address: str, application: str) -> bool:
    async with grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = await check(HealthCheckRequest(service=application))
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == HealthCheckResponse.SERVING)
