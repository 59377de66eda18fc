"""Deployments that answer HTTP: with every kind of answer, with what they saw of the request, with errors, slowly."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse

import mesh
from tests.e2e.commands import wait_until
from tests.services.handles import Refused


class Colour(enum.Enum):
    """An answer that JSON does not know."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """An answer that JSON does not know."""

    x: int
    y: float


@mesh.deployment
class Answers:
    """Gives the kind of answer that the path asks for."""

    def __init__(self) -> None:
        self.background: list[str] = []

    async def __call__(self, request: Request) -> Any:
        return getattr(self, request.url.path.strip("/").rpartition("/")[2])(request)

    def nothing(self, _: Request) -> None:
        """None."""

    def text(self, _: Request) -> Any:
        return 'a "text" in ünïcode'

    def raw(self, _: Request) -> Any:
        return b"\x00\xff raw"

    def number(self, _: Request) -> Any:
        return 4.5

    def json(self, _: Request) -> Any:
        return {"a": [1, None, True], "ü": "ö"}

    def arrays(self, _: Request) -> Any:
        return {"array": np.arange(4).reshape(2, 2), "scalar": np.float32(0.5), "integer": np.int64(2**40)}

    def objects(self, _: Request) -> Any:
        return [Point(1, 2.5), Colour.RED, datetime(2024, 2, 29), (1, 2), {3}]

    def html(self, _: Request) -> Any:
        return HTMLResponse("<p>hello</p>", 201, {"X-Own": "yes"})

    def redirect(self, _: Request) -> Any:
        return RedirectResponse("/elsewhere", 303)

    def cookie(self, _: Request) -> Any:
        response = PlainTextResponse("two cookies")
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response

    def in_background(self, _: Request) -> Any:
        return PlainTextResponse("done", background=BackgroundTask(self.background.append, "ran"))

    def ran_in_background(self, _: Request) -> Any:
        return self.background

    def own_id(self, _: Request) -> Any:
        return PlainTextResponse("", headers={"X-Request-ID": "of the user"})

    def neither(self, _: Request) -> Any:
        return object()

    def refuse(self, _: Request) -> Any:
        raise Refused(4, why="\x1b[31mtoo late\x1b[0m")

    def not_here(self, _: Request) -> Any:
        raise HTTPException(418, "a teapot", {"X-Own": "yes"})

    def end(self, _: Request) -> Any:
        raise SystemExit(3)


@mesh.deployment
class OnTurn:
    """Answers in a plain method."""

    def __call__(self, request: Request) -> Any:
        if request.url.path.endswith("fail"):
            raise LookupError("no such thing")
        return request.query_params.get("name", "?")


@mesh.deployment(max_body_bytes=1_000_000)
class Saw:
    """Says what it saw of the request."""

    async def __call__(self, request: Request) -> Any:
        body = await request.body()
        return {
            "is_request": isinstance(request, Request),
            "method": request.method,
            "path": request.scope["path"],
            "root_path": request.scope["root_path"],
            "url": str(request.url),
            "query": request.query_params.multi_items(),
            "own": request.headers.getlist("x-own"),
            "cookies": request.cookies,
            "client": request.client.host if request.client else None,
            "body_bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
        }


@mesh.deployment
class Reads:
    """Reads the body in the way that the path asks for."""

    async def __call__(self, request: Request) -> Any:
        match request.scope["path"]:
            case "/json":
                return await request.json()
            case "/form":
                return dict(await request.form())
            case "/upload":
                upload = (await request.form())["file"]
                assert not isinstance(upload, str)
                return {"name": upload.filename, "size": len(await upload.read())}
            case "/stream":
                sizes = [len(piece) async for piece in request.stream()]
                return {"bytes": sum(sizes), "pieces": len(sizes)}
            case "/first":
                async for piece in request.stream():
                    return len(piece)
        return "nothing read"


@mesh.deployment
class HandsOn:
    """Hands the request on to another deployment, and reads it itself too where the query says so."""

    def __init__(self, saw: mesh.DeploymentHandle) -> None:
        self._saw = saw

    async def __call__(self, request: Request) -> Any:
        when = request.query_params.get("read")
        if when == "before":
            await request.body()
        if when == "stream":
            async for _ in request.stream():
                pass
        call = self._saw(request)
        streamed = sum([len(piece) async for piece in request.stream()]) if when == "meanwhile" else 0
        seen = await call
        if when == "meanwhile":
            seen["first"] = streamed
        if when == "after":
            seen["first"] = len(await request.body())
        return seen


@mesh.deployment
async def function(request: Request) -> str:
    """A function as a deployment."""
    return f"function {request.method}"


@mesh.deployment
class WithoutParameters:
    """A callable that takes no request."""

    def __call__(self) -> str:
        return "no parameters"


@mesh.deployment
class Streams:
    """Answers in pieces, each when the gate of its number opens."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def __call__(self, request: Request) -> Any:
        key, kind = request.query_params["key"], request.scope["path"]
        if kind == "/response":
            return StreamingResponse(self._pieces(key), media_type="text/event-stream")
        if kind == "/generator":
            return self._pieces(key)
        if kind == "/plain":
            return self._plain_pieces()
        if kind == "/endless":
            return StreamingResponse(self._endless())
        if kind == "/stuck":
            return StreamingResponse(self._stuck())
        if kind == "/computes":
            return StreamingResponse(self._computes(request.query_params["file"]))
        number = int(request.query_params["number"])
        return {
            "/broken_response": lambda: StreamingResponse(self._broken(number), media_type="text/event-stream"),
            "/broken_generator": lambda: self._broken(number),
            "/broken_plain": lambda: self._broken_plain(number),
            "/broken_refusal": lambda: self._broken_plain(number, HTTPException(418, "a teapot")),
        }[kind]()

    async def _pieces(self, key: str) -> AsyncIterator[str]:
        yield "first\n"
        await self._gate.wait(key)
        yield "second\n"

    def _plain_pieces(self) -> Iterator[str]:
        for number in range(3):
            yield f"{number}\n"

    async def _endless(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    async def _stuck(self) -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async def _computes(self, file: str) -> AsyncIterator[bytes]:
        """Holds the loop of its replica behind each piece until the client has said, in a file, that it is there."""
        for number in range(3):
            yield b"%d" % number
            wait_until(lambda number=number: Path(file).read_text() == str(number))  # type: ignore[misc]

    async def _broken(self, number: int) -> AsyncIterator[bytes]:
        for _ in range(number):
            yield b"piece"
        raise LookupError("broken half way")

    def _broken_plain(self, number: int, error: Exception | None = None) -> Iterator[bytes]:
        for _ in range(number):
            yield b"piece"
        raise error or LookupError("broken half way")


@mesh.deployment(max_ongoing_requests=1, max_queued_requests=1, request_timeout_s=30)
class Narrow:
    """Has little room. A request waits at the gate of its key."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    async def __call__(self, request: Request) -> str:
        key = request.query_params.get("key")
        return await self._gate.wait(key) if key else "at once"  # type: ignore[no-any-return]


@mesh.deployment(max_ongoing_requests=1, request_timeout_s=30)
class NarrowOnTurn:
    """The same in a plain method."""

    def __init__(self, gate: mesh.DeploymentHandle) -> None:
        self._gate = gate

    def __call__(self, request: Request) -> str:
        key = request.query_params.get("key")
        if key == "sleeps":
            time.sleep(1.0)
        return mesh.get(self._gate.wait.remote(key)) if key and key != "sleeps" else "at once"


@mesh.deployment
class Nested:
    """Answers with refs inside of containers, and with a response."""

    def __init__(self, echo: mesh.DeploymentHandle) -> None:
        self._echo = echo

    async def __call__(self, request: Request) -> Any:
        if request.scope["path"] == "/response":
            return self._echo.use.remote(4)
        return {"one": self._echo.use.remote(1), "more": [await self._echo.use.remote(2)]}
