"""Generators whose items leave one by one as a streaming response; mesh and bare Starlette run the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from time import perf_counter

from starlette.requests import Request
from starlette.responses import StreamingResponse

TOKEN = b"token "
PACE_S = 0.010
"""From one paced token to the next."""


def stream_for(request: Request) -> StreamingResponse:
    """What the query says: ``kind`` is chunks, paced or first, ``number`` how many tokens."""
    number = int(request.query_params.get("number", "0"))
    tokens = {"chunks": chunks, "paced": paced, "first": first}[request.query_params["kind"]]
    return StreamingResponse(tokens(number), media_type="text/event-stream")


async def chunks(number: int) -> AsyncGenerator[bytes, None]:
    """As fast as they come."""
    for _ in range(number):
        yield TOKEN


async def paced(number: int) -> AsyncGenerator[bytes, None]:
    """One each 10 ms as an event, which bears the moment at which it was due, on the clock that all processes share."""
    begin = perf_counter()
    for index in range(number):
        due = begin + index * PACE_S
        await asyncio.sleep(max(0.0, due - perf_counter()))
        yield b"data: %.6f\n\n" % due


async def first(_: int) -> AsyncGenerator[bytes, None]:
    """One, and one more that takes its time."""
    yield TOKEN
    await asyncio.sleep(PACE_S)
    yield TOKEN
