"""ASGI applications as deployments."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

import mesh


class Item(BaseModel):
    name: str
    price: float


class PublicItem(BaseModel):
    name: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    app.state.starts = getattr(app.state, "starts", 0) + 1
    yield {"from_lifespan": "yielded"}


app = FastAPI(lifespan=lifespan, title="Shop")
router = APIRouter(prefix="/v1", tags=["v1"])


@app.middleware("http")
async def mark(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["x-marked"] = "yes"
    return response


def two_times(number: int) -> int:
    return 2 * number


@app.get("/plain")
def plain(request: Request) -> dict[str, Any]:
    return {"path": request.url.path, "root_path": request.scope["root_path"], "starts": request.app.state.starts,
            "state": request.state.from_lifespan}  # fmt: skip


async def home(request: Any) -> PlainTextResponse:
    return PlainTextResponse("mounted")


app.mount("/mounted", Starlette(routes=[Route("/", home)]))


@mesh.deployment(num_replicas=1)
@mesh.ingress(app)
class Shop:
    """Routes of an application as methods, and as functions of a router that the application includes."""

    def __init__(self, factor: int = 10) -> None:
        self._factor = factor
        self._items: dict[str, Item] = {}

    @app.get("/times/{number}")
    async def times(self, number: int, more: int = 0) -> int:
        return number * self._factor + more

    @app.get("/blocking/{number}")
    def blocking(self, number: int) -> int:
        return number * self._factor

    @app.post("/items", response_model=PublicItem, status_code=201)
    async def add(self, item: Item) -> Item:
        self._items[item.name] = item
        return item

    @app.get("/depends")
    async def depends(self, twice: Annotated[int, Depends(two_times)]) -> int:
        return twice + self._factor

    @app.get("/missing")
    async def missing(self) -> None:
        raise HTTPException(404, "not in the shop")

    @app.get("/fails")
    async def fails(self) -> None:
        raise LookupError("no such thing")

    @app.get("/stream")
    async def stream(self) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number * self._factor}\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type="text/event-stream")

    @app.post("/upload")
    async def upload(self, file: UploadFile) -> int:
        return len(await file.read())

    @app.websocket("/socket")
    async def socket(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"{await socket.receive_text()} {self._factor} {socket.url.path}")
        await socket.close(4000)

    @router.get("/included")
    async def included(self) -> list[int]:
        return [self._factor]

    async def factor(self) -> int:
        """By handle."""
        return self._factor


app.include_router(router)


@mesh.deployment
@mesh.ingress(app)
class Other:
    """The same application, another class."""

    @app.get("/other")
    async def other(self) -> str:
        return "other"


@mesh.deployment
@mesh.ingress("tests.services.applications:app")
class ByPath:
    """An application that is named."""


def make() -> Starlette:
    async def answer(request: Any) -> JSONResponse:
        return JSONResponse({"pid": os.getpid(), "path": request.url.path})

    return Starlette(routes=[Mount("/deep", routes=[Route("/path", answer)])])


@mesh.deployment
@mesh.ingress(make)
class ByFactory:
    """An application that is made in the replica."""


@mesh.deployment
@mesh.ingress(lambda self: self.app)
class ByConstructor:
    """An application that the constructor makes."""

    def __init__(self, text: str) -> None:
        self.app = FastAPI()

        @self.app.get("/")
        def answer() -> str:
            return text


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Knows neither lifespan nor WebSockets."""
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": b"bare"})


@mesh.deployment
@mesh.ingress(bare)
class Bare:
    """Plain ASGI."""


@asynccontextmanager
async def fails_to_start(app: FastAPI) -> AsyncIterator[None]:
    raise LookupError("the lifespan finds nothing")
    yield


@mesh.deployment
@mesh.ingress(FastAPI(lifespan=fails_to_start))
class NeverStarts:
    """Its lifespan raises."""
