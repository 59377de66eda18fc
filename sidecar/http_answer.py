"""The answer of a call that an HTTP request made: whole when it is at hand, in pieces when it streams."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from mesh.answers import answer_of, run_response
from mesh.payload import BYTES, HTTP_RESPONSE, Payload
from sidecar.steps import steps_on_turn

if TYPE_CHECKING:
    from sidecar.work import Work


async def answer_http(work: Work, request: Request | None, result: Any) -> None:
    """Send what the user's method returned for ``request``, to the end of its background tasks."""
    if isinstance(result, GeneratorType):
        result = steps_on_turn(work.session, result)
    answer = await answer_of(result)
    if isinstance(answer, Response):
        await _stream_response(work, request, answer)
    else:
        work.reply(Payload(HTTP_RESPONSE, answer))


async def _stream_response(work: Work, request: Request | None, response: Response) -> None:
    pieces = run_response(response, request)
    try:
        await work.send(Payload(HTTP_RESPONSE, await anext(pieces)))
        async for piece in pieces:
            if piece:
                await work.send(Payload(BYTES, piece))
            else:
                work.end_items()  # the client has it all; background tasks may still run
    finally:
        await pieces.aclose()
    work.yielded(None)
