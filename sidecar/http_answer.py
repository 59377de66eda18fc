"""The answer of a call that an HTTP request made: whole when it is at hand, in pieces when it streams."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from mesh.answers import answer_of, run_response
from mesh.payload import BYTES, HTTP_RESPONSE, Payload
from sidecar.items import LONGEST_RUN_S
from sidecar.steps import steps_on_turn

if TYPE_CHECKING:
    from sidecar.work import Work


async def answer_http(work: Work, request: Request | None, result: Any) -> None:
    """Send what the user's method returned for ``request``, to the end of its background tasks."""
    if isinstance(result, GeneratorType):
        result = steps_on_turn(work, result)
    answer = await answer_of(result)
    if isinstance(answer, Response):
        await _stream_response(work, request, answer)
    else:
        work.reply(Payload(HTTP_RESPONSE, answer))


async def _stream_response(work: Work, request: Request | None, response: Response) -> None:
    is_begun = False
    pause_s = 0.0

    async def give(piece: bytes) -> None:
        nonlocal is_begun, pause_s
        if not is_begun:
            is_begun = True
            await work.send(Payload(HTTP_RESPONSE, piece))
            return
        if not piece:
            work.end_items()  # the client has it all; background tasks may still run
            return
        await work.send(Payload(BYTES, piece))
        if monotonic() >= pause_s:
            await asyncio.sleep(0)  # pieces of the same moment share a batch; one before a long step is sent now
            pause_s = monotonic() + LONGEST_RUN_S

    await run_response(response, request, give)
    work.yielded(None)
