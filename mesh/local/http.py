"""HTTP in front of a local mesh: the real bridge, on the loop of the mesh."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from http_bridge.app import Bridge
from http_bridge.server import make_server
from mesh.v1 import endpoint_pb2


@asynccontextmanager
async def serving(
    router: Callable[[str, str], Any],
    routes: AsyncGenerator[tuple[endpoint_pb2.Route, ...], None],
    listeners: tuple[socket.socket, ...],
) -> AsyncIterator[None]:
    """Answer HTTP on ``listeners`` while inside."""
    bridge = Bridge(router, debug_errors=True)
    server = make_server(bridge)
    following = asyncio.create_task(bridge.follow(routes))
    running = asyncio.create_task(server.serve(list(listeners)))
    try:
        yield
    finally:
        server.stop()
        following.cancel()
        await running
        with suppress(asyncio.CancelledError):
            await following
