"""Graphs behind drivers: streams as outputs, adapters, several routes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

import mesh
from mesh.http_adapters import json_to_ndarray


@mesh.deployment(max_ongoing_requests=100)
class Tokens:
    """Yields, fails half way, and tells when a generator has ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._yielded = 0

    async def count(self, number: int) -> AsyncGenerator[Any, None]:
        """Numbers, texts and lists in turn."""
        for value in range(number):
            yield (value, f"text {value}", [value])[value % 3]

    def count_on_turn(self, number: int) -> Generator[int, None, None]:
        """Numbers."""
        yield from range(number)

    async def fail(self, after: int) -> AsyncGenerator[int, None]:
        """So many numbers, then an exception."""
        for value in range(after):
            yield value
        raise LookupError(f"nothing after {after}")

    async def endless(self, size: int) -> AsyncGenerator[str, None]:
        """Texts without an end."""
        try:
            while True:
                self._yielded += 1
                yield "x" * size
        finally:
            self._ended.set()

    async def ended(self) -> bool:
        """Return when an endless generator has run its ``finally``."""
        return await asyncio.to_thread(self._ended.wait, 30)

    async def yielded(self) -> int:
        """How many texts were yielded."""
        return self._yielded


@mesh.deployment
class Upper:
    """Reads a stream and yields another."""

    async def each(self, items: Any) -> AsyncGenerator[str, None]:
        """The items as upper-case text."""
        async for item in items:
            yield str(item).upper()

    def join(self, items: Any) -> str:
        """The items as one text."""
        return " ".join(str(item) for item in items)


@mesh.deployment
class Passing:
    """HTTP requests answered with the stream of another deployment."""

    def __init__(self, tokens: mesh.DeploymentHandle[Tokens]) -> None:
        self._tokens = tokens

    async def __call__(self, request: Request) -> Any:
        handle = self._tokens.options(method_name=request.query_params["method"], stream=True)
        return handle.remote(int(request.query_params["number"]))


@mesh.deployment
def double(value: Any) -> Any:
    """Twice the value, also of an array."""
    return value * 2


@mesh.deployment
def identity(value: Any) -> Any:
    """The value."""
    return value


@mesh.deployment
def refused(value: Any) -> Response:
    """A Response of its own."""
    return Response(f"no {value}", 418)


class Order(BaseModel):
    """What a body may be read into."""

    article: str
    count: int = 1


def annotated(number: int, scaled: Annotated[Any, Depends(json_to_ndarray)], tag: Annotated[str, Query()] = "-") -> Any:
    """An adapter whose parameters FastAPI reads."""
    return [number, (scaled * number).tolist(), tag]
