"""Deployments that speak WebSocket."""

from __future__ import annotations

import asyncio
import os

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import Request
from starlette.websockets import WebSocket

import mesh


@mesh.deployment(max_ongoing_requests=100, request_timeout_s=1.0)
class Chat:
    """Does what the query's ``do`` says."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def __call__(self, socket: WebSocket) -> None:
        await getattr(self, f"_{socket.query_params['do']}")(socket)

    async def _echo(self, socket: WebSocket) -> None:
        await socket.accept(headers=[(b"x-served-by", b"chat")])
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await socket.send({**message, "type": "websocket.send"})

    async def _tell(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json([socket.scope["path"], socket.scope["root_path"], socket.url.path, os.getpid()])

    async def _choose(self, socket: WebSocket) -> None:
        await socket.accept(subprotocol=socket.scope["subprotocols"][-1])
        await socket.close(4321, "enough")

    async def _code(self, socket: WebSocket) -> None:
        await socket.accept()
        message = await socket.receive()
        await self._gate.open(f"{message['code']} {message['reason']}")

    async def _refuse(self, socket: WebSocket) -> None:
        raise HTTPException(418, "no coffee")

    async def _deny(self, socket: WebSocket) -> None:
        await socket.close(reason="not you")

    async def _raise(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        raise LookupError("no such thing")

    async def _policy(self, socket: WebSocket) -> None:
        await socket.accept()
        raise WebSocketException(1008, "against the rules")

    async def _broken(self, socket: WebSocket) -> None:
        raise LookupError("before it was accepted")

    async def _wait(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("waiting")
        await self._gate.wait(socket.query_params["key"])

    async def _flood(self, socket: WebSocket) -> None:
        """Sends without an end; says how far it is when the gate is asked for it."""
        await socket.accept()
        for number in range(10_000):
            await socket.send_bytes(bytes(100_000))
            self.sent = number + 1

    async def sent_so_far(self) -> int:
        """Messages of the flood that were taken off its hands."""
        return self.sent

    async def _slow(self, socket: WebSocket) -> None:
        await socket.accept()
        await self._gate.wait(socket.query_params["key"])
        total = 0
        while True:
            message = await socket.receive_bytes()
            if not message:
                await socket.send_text(str(total))
                return
            total += len(message)

    async def _silent(self, socket: WebSocket) -> None:
        await socket.accept()
        await asyncio.sleep(1.5)
        await socket.send_text("still here")


@mesh.deployment
class Both:
    """Answers HTTP and WebSockets."""

    async def __call__(self, connection: Request | WebSocket) -> str | None:
        if isinstance(connection, Request):
            return "request"
        await connection.accept()
        await connection.send_text("websocket")
        return None


@mesh.deployment
class Neither:
    """Knows nothing of WebSockets."""

    def __call__(self, request: Request) -> str:
        return "request"
