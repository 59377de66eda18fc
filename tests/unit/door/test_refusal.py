"""Situations of errors on their way to a gRPC client."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from mesh import errors
from mesh.door.refusal import refusal
from mesh.error_detail import describe_error, encode_error


def _details(wire: bytes) -> dict[str, Any]:
    found = {}
    for packed in status_pb2.Status.FromString(wire).details:
        name = packed.TypeName().removeprefix("google.rpc.")
        found[name] = getattr(error_details_pb2, name)()
        packed.Unpack(found[name])
    return found


def _from_replica(error: BaseException) -> errors.MeshError:
    """The error as the door hears of it when a replica raised it."""
    try:
        raise error
    except BaseException as raised:
        return describe_error(encode_error(raised))


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.DeploymentNotFound("no"), "NOT_FOUND", "DEPLOYMENT_NOT_FOUND"),
        (errors.MethodNotFound("no"), "UNIMPLEMENTED", "METHOD_NOT_FOUND"),
        (errors.InvalidArgument("no"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (_from_replica(errors.InvalidArgument("no")), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (errors.PayloadTooLarge("no"), "RESOURCE_EXHAUSTED", "PAYLOAD_TOO_LARGE"),
        (errors.RequestRejected("no"), "RESOURCE_EXHAUSTED", "REQUEST_REJECTED"),
        (_from_replica(errors.RequestRejected("no")), "RESOURCE_EXHAUSTED", "REQUEST_REJECTED"),
        (errors.DeadlineExceeded("no"), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        (errors.ReplicaDied("no"), "UNAVAILABLE", "REPLICA_DIED"),
        (errors.MeshUnavailable("no"), "UNAVAILABLE", "MESH_UNAVAILABLE"),
    ],
)
def test_error_of_the_mesh_has_its_code_and_reason(error: errors.MeshError, code: str, reason: str) -> None:
    refused = refusal(error, "id", debug=True)
    assert (refused.code.name, refused.message) == (code, "no")
    status = status_pb2.Status.FromString(refused.details)
    assert (status.code, status.message) == (refused.code.value[0], "no")
    found = _details(refused.details)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (reason, "mesh")
    assert found["ErrorInfo"].metadata["request_id"] == "id"
    assert ("BadRequest" in found) == (code == "INVALID_ARGUMENT")
    assert ("RetryInfo" in found) == (reason == "REQUEST_REJECTED")
    assert "DebugInfo" not in found


@pytest.mark.parametrize(
    ("error", "message", "type_name"),
    [
        (LookupError("no cat"), "LookupError: no cat", "LookupError"),
        (KeyError(), "KeyError", "KeyError"),
        (errors.PayloadError("no JSON"), "PayloadError: no JSON", "mesh.errors.PayloadError"),
        (errors.MethodNotFound("of another"), "MethodNotFound: of another", "mesh.errors.MethodNotFound"),
    ],
)
def test_error_of_the_users_code_is_unknown_with_its_type(error: Exception, message: str, type_name: str) -> None:
    refused = refusal(_from_replica(error), "id", debug=False)
    assert (refused.code, refused.message) == (grpc.StatusCode.UNKNOWN, message)
    assert _details(refused.details)["ErrorInfo"].metadata["type"] == type_name


def test_traceback_is_shown_for_debugging_only() -> None:
    error = _from_replica(LookupError("no cat"))
    assert "in _from_replica" in _details(refusal(error, "id", debug=True).details)["DebugInfo"].detail
    assert "DebugInfo" not in _details(refusal(error, "id", debug=False).details)


def test_bug_of_the_door_tells_a_stranger_nothing() -> None:
    refused = refusal(RuntimeError("/secret/path"), "id", debug=True)
    assert refused.code is grpc.StatusCode.INTERNAL
    assert b"secret" not in refused.details + refused.message.encode()


@pytest.mark.parametrize("letter", ["x", "\N{CAT FACE}", "\ud800"])
def test_long_message_and_traceback_fit_into_trailing_metadata(letter: str) -> None:
    error = errors.UserCodeError(letter * 10_000, "builtins.ValueError")
    error.__mesh_detail__ = encode_error(error)  # type: ignore[attr-defined]
    error.__mesh_detail__.traceback = "\N{CAT FACE}" * 5000  # type: ignore[attr-defined]
    refused = refusal(error, "id", debug=True)
    assert 3 * len(refused.message.encode()) + 4 / 3 * len(refused.details) < 8000
    assert refused.message.endswith(" ...")
