"""The answer of a call through the door: one message, or one for each item."""

from __future__ import annotations

from types import GeneratorType
from typing import TYPE_CHECKING, Any

from mesh.payload import DOOR_ANSWER, Attachable, Payload
from sidecar.door_call import encode_answer
from sidecar.steps import steps_on_turn

if TYPE_CHECKING:
    from sidecar.work import Work


async def answer_door(work: Work, result: Any) -> None:
    """Send what the user's method returned, or yields."""
    if isinstance(result, Attachable):
        result = await result.value()  # type: ignore[attr-defined] # a response, a ref or a stream
    items: Any = steps_on_turn(work, result) if isinstance(result, GeneratorType) else result
    if not hasattr(items, "__anext__"):
        work.reply(Payload(DOOR_ANSWER, await encode_answer(result)))
        return
    try:
        async for item in items:
            await work.send(Payload(DOOR_ANSWER, await encode_answer(item)))
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()
    work.yielded(None)
