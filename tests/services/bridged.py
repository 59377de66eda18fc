"""A deployment for clients that watch how a bridge ends: short answers, a slow one, a stream, a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket

import mesh
from tests.services.handles import Gate


@mesh.deployment(max_ongoing_requests=1000)
class Bridged:
    """Answers at once, or at ``?wait=key`` and ``?stream=key`` when the gate of that key is open.

    ``?open=key`` opens it, and ``?begun=key`` is answered when somebody waits there. A WebSocket with ``?key=key`` that
    is closed with a code opens the gate of "key code".
    """

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def __call__(self, connection: Request | WebSocket) -> Any:
        if isinstance(connection, WebSocket):
            return await self._echo(connection)
        query = connection.query_params
        if "stream" in query:
            return StreamingResponse(self._pieces(query["stream"]))
        for method in query.keys() & {"wait", "open", "begun"}:
            await getattr(self._gate, method)(query[method])
        await asyncio.sleep(0.002)  # long enough for requests to be under way whenever something happens
        return "answer"

    async def _pieces(self, key: str) -> AsyncIterator[str]:
        yield "begun "
        await self._gate.wait(key)
        for number in range(3):
            yield f"{number} "
        yield "ended"

    async def _echo(self, socket: WebSocket) -> None:
        await socket.accept()
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            await socket.send_text(message["text"])
        await self._gate.open(f"{socket.query_params['key']} {message['code']}")


node = Bridged.bind(Gate.options(max_ongoing_requests=100).bind())
