"""A call through the door, in the replica: the argument out of what a client sent, the result as what it can read.

JSON and bytes alone: nothing that a client sent is unpickled.
"""

from __future__ import annotations

import inspect
import json
from typing import Any, NoReturn

from starlette.responses import Response

from mesh.errors import InvalidArgument, PayloadError
from mesh.json_encoding import NotReady, encode_json
from mesh.payload import Attachable
from mesh.v1.payload_pb2 import DoorCall
from mesh.v1.predict_pb2 import PredictResponse
from sidecar.user_code import BoundMethod


def read_arguments(method: BoundMethod, wire: bytes) -> tuple[Any, ...]:
    """The positional arguments: one, or none for JSON that is empty or null.

    Raises :class:`mesh.errors.InvalidArgument` when the body is no JSON, or when the method takes another number.
    """
    call = DoorCall.FromString(wire)
    args = _read_json(call.body) if call.is_json else (call.body,)
    try:
        inspect.signature(method.function).bind(*args)
    except TypeError as error:
        sent = "one argument (the body)" if args else "no argument (the body is empty or null)"
        raise InvalidArgument(
            f"the method cannot be called with {sent}: {error}; its parameters are "
            f"{inspect.signature(method.function)}, and what passes the door is one value or none"
        ) from None
    except ValueError:
        pass  # something of C's, whose parameters nobody can tell: calling it will show
    return args


def _read_json(body: bytes) -> tuple[Any, ...]:
    if not body:
        return ()
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"the body is no JSON: {error}; for bytes of another kind set content_type, "
            "such as application/octet-stream"
        ) from None
    return () if value is None else (value,)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


async def encode_answer(value: Any) -> bytes:
    """A serialized ``PredictResponse``: bytes as they are, anything else as JSON; calls in it are awaited.

    Raises :class:`mesh.errors.PayloadError` for what has no form in JSON.
    """
    if isinstance(value, Attachable):
        value = await value.value()  # type: ignore[attr-defined] # a ref or a response, which mesh.response knows
    if isinstance(value, bytes | bytearray | memoryview):
        return PredictResponse(content_type="application/octet-stream", body=bytes(value)).SerializeToString()
    if isinstance(value, Response):
        raise PayloadError("the method answers with a starlette Response, which only HTTP can carry: call another one")
    while True:
        try:
            return PredictResponse(content_type="application/json", body=encode_json(value)).SerializeToString()
        except NotReady as unready:
            await unready.ref.value()
