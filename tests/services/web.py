"""Deployments that answer HTTP in every way there is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any

import numpy
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request


@dataclass
class Point:
    """A user's value."""

    x: int


@mesh.deployment
class Web:
    """Answers in the way that the query asks for; ``?answer=seen`` tells what happened beside the answers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, request: Request) -> object:
        """The answer that the query parameter ``answer`` names."""
        return await getattr(self, f"_{request.query_params['answer']}")(request)

    async def _seen(self, request: Request) -> list[str]:
        return self.seen

    async def _nothing(self, request: Request) -> None:
        return None

    async def _text(self, request: Request) -> str:
        return f"{request['root_path']} {request['path']} {request.url.path}"

    async def _json(self, request: Request) -> dict[str, Any]:
        return {"array": numpy.arange(2), "point": Point(1), "nan": float("nan")}

    async def _form(self, request: Request) -> dict[str, Any]:
        return {**await request.form(), **request.cookies}

    async def _length(self, request: Request) -> str:
        return str(len(await request.body()))

    async def _user_error(self, request: Request) -> None:
        raise ValueError("bad input")

    async def _not_found(self, request: Request) -> None:
        raise HTTPException(404, "no such cat")

    async def _late(self, request: Request) -> None:
        await asyncio.Event().wait()

    async def _stream(self, request: Request) -> StreamingResponse:
        async def words() -> AsyncGenerator[str, None]:
            yield "one "
            yield "two"

        return StreamingResponse(words(), media_type="text/event-stream")

    async def _endless(self, request: Request) -> StreamingResponse:
        async def numbers() -> AsyncGenerator[bytes, None]:
            made = 0
            try:
                while True:
                    made += 1
                    yield b"x" * 100_000
            finally:
                self.seen.append("held back" if made < 1000 else "ran ahead")

        return StreamingResponse(numbers())

    async def _background(self, request: Request) -> PlainTextResponse:
        async def later() -> None:
            self.seen.append("background")

        return PlainTextResponse("before", background=BackgroundTask(later))


@mesh.deployment
class Front:
    """Hands its Request on, twice, and reads it itself."""

    def __init__(self, web: mesh.DeploymentHandle) -> None:
        self._web = web

    async def __call__(self, request: Request) -> list[Any]:
        """The answers of the other deployment, as refs, and what was read here."""
        return [self._web.remote(request), self._web.remote(request), len(await request.body())]


@mesh.deployment
def count(request: Request) -> Generator[dict[str, int], None, None]:
    """Yields, from a plain ``def``."""
    for number in range(3):
        yield {"n": number}


@mesh.deployment
def pong() -> str:
    """Takes no request."""
    return "pong"


@mesh.deployment
def double(number: int) -> int:
    """A step of a graph."""
    return 2 * number


with InputNode() as number:
    doubled = DAGDriver.bind(double.bind(number), http_adapter=json_request)
