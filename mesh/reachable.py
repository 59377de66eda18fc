"""Whether the bridge knows a route yet: it hears of routes on its own, a moment before or after everybody else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

ROUTE_TIMEOUT_S = 5.0
"""A bridge that was killed is back and knows its routes long before this."""

_ASK_AGAIN_S = 0.01


async def wait_reachable(host: str, port: int, prefix: str, deployment: str) -> bool:
    """Wait until the bridge at ``host``:``port`` sends ``prefix`` to ``deployment``; False when it still does not
    after :data:`ROUTE_TIMEOUT_S`.
    """
    try:
        async with asyncio.timeout(ROUTE_TIMEOUT_S):
            while (await _routes(host, port)).get(prefix) != deployment:  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(_ASK_AGAIN_S)
            return True
    except TimeoutError:
        return False


async def _routes(host: str, port: int) -> dict[str, Any]:
    """The bridge's table of routes; empty while it does not answer."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
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
