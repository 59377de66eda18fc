"""A stream among the arguments of a call: its items follow the arguments, and the receiver reads them as they come.

They travel as the payloads that they came in, over any number of processes. The receiver's credit holds the sender,
whose own holds the generator; the call's end, however it comes, ends the stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any

from mesh.error_detail import encode_error
from mesh.errors import PayloadError
from mesh.outcome import Outcome
from mesh.payload import ERROR, ITEMS, Payload, register_decoder
from mesh.response_generator import DeploymentResponseGenerator

arriving: ContextVar[Outcome | None] = ContextVar("mesh_arriving", default=None)
"""The stream among the arguments of the call that the running code works on."""


def stands_for_items() -> Payload:
    """What stands for the stream among the arguments."""
    return Payload(ITEMS, b"")


async def items_to_send(items: AsyncGenerator[Payload, None]) -> AsyncGenerator[Payload, None]:
    """The items, and behind them what the stream ended with, when it did not end well."""
    try:
        async for payload in items:
            yield payload
    except Exception as error:
        yield Payload(ERROR, encode_error(error).SerializeToString())
    finally:
        await items.aclose()


def _arrived(_: bytes) -> DeploymentResponseGenerator[Any]:
    outcome = arriving.get()
    if outcome is None:
        raise PayloadError("a stream that came with a call can be read only in the code of that call")
    return DeploymentResponseGenerator(outcome)


register_decoder(ITEMS, _arrived)
