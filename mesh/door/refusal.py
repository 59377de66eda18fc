"""What a gRPC client sees of an error: a status code, a message, and ``google.rpc`` details for programs. Pure."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from mesh.errors import (
    DeadlineExceeded,
    InvalidArgument,
    MeshError,
    MeshUnavailable,
    PayloadTooLarge,
    ReplicaDied,
    RequestCancelled,
    RequestRejected,
    UserCodeError,
)

DOMAIN: Final = "mesh"
"""The domain of every ``ErrorInfo``."""

RETRY_AFTER_S: Final = 1
"""What a client is advised that was rejected because no replica had room."""

LONGEST_MESSAGE_BYTES: Final = 1000
LONGEST_TRACEBACK_BYTES: Final = 1500
"""All of it travels in trailing metadata, of which clients take 8 KB; the message is there twice, once %-encoded."""


class Refusal(NamedTuple):
    """How a request ends: ``details`` is a serialized ``google.rpc.Status``, for ``grpc-status-details-bin``."""

    code: grpc.StatusCode
    message: str
    details: bytes


def refusal(error: BaseException, request_id: str, *, debug: bool) -> Refusal:
    """The status for an exception that a request ended with; ``debug`` adds the traceback of the user's code.

    What the user's code raised is UNKNOWN, unless it is an error of the mesh that came up from a call below and means
    the same to this client.
    """
    detail = getattr(error, "__mesh_detail__", None)
    if not isinstance(error, MeshError):
        code, message = grpc.StatusCode.INTERNAL, "the door failed; its log says why"
    elif isinstance(error, _MEANS_THE_SAME) or detail is None:
        code, message = grpc.StatusCode[error.grpc_code], str(error)
    else:
        code, message = grpc.StatusCode.UNKNOWN, _users_message(error)
    message = _shortened(message, LONGEST_MESSAGE_BYTES)
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.extend(_packed(part) for part in _details(error, detail, message, request_id, debug=debug))
    return Refusal(code, message, status.SerializeToString())


def _details(error: BaseException, detail: Any, message: str, request_id: str, *, debug: bool) -> list[Any]:
    known = {"request_id": request_id}
    if detail is not None and not isinstance(error, _MEANS_THE_SAME):
        known["type"] = detail.type_name.removeprefix("builtins.")[:200]
    details = [error_details_pb2.ErrorInfo(reason=_reason(error), domain=DOMAIN, metadata=known)]
    if isinstance(error, InvalidArgument):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, RequestRejected):
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_AFTER_S)))
    if debug and "type" in known and detail.traceback:
        traceback = detail.traceback.encode()[-LONGEST_TRACEBACK_BYTES:].decode(errors="ignore")
        details.append(error_details_pb2.DebugInfo(detail=traceback))
    return details


def _reason(error: BaseException) -> str:
    """The error's class as ``ErrorInfo`` wants it, such as DEPLOYMENT_NOT_FOUND."""
    name = type(error).__name__ if isinstance(error, MeshError) else "Internal"
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


def _users_message(error: MeshError) -> str:
    """ "ValueError: bad input": the name as the user's code knows it."""
    if not isinstance(error, UserCodeError):
        return f"{type(error).__name__}: {error}"
    name = error.type_name.removeprefix("builtins.").removeprefix("__main__.")
    message = Exception.__str__(error)
    return f"{name}: {message}" if message else name


def _shortened(text: str, longest_bytes: int) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= longest_bytes:
        return encoded.decode()
    return encoded[: longest_bytes - 4].decode(errors="ignore") + " ..."


def _packed(message: Any) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


_MEANS_THE_SAME: Final = (
    DeadlineExceeded,
    InvalidArgument,
    MeshUnavailable,
    PayloadTooLarge,
    ReplicaDied,
    RequestCancelled,
    RequestRejected,
)
