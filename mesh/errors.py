"""The errors of the mesh, each with whose fault it is and the gRPC status code that stands for it.

Nothing here decides anything; raising and catching happen where something can be done.
"""

from __future__ import annotations

from typing import ClassVar


class MeshError(Exception):
    """What all errors of the mesh have in common.

    ``grpc_code`` is the name of the status code that a gRPC client sees, ``http_status`` what an HTTP client sees.
    """

    grpc_code: ClassVar[str] = "INTERNAL"
    http_status: ClassVar[int] = 500


class ConfigError(MeshError, ValueError):
    """A setting, a name or a graph is not allowed; nothing was started."""

    grpc_code = "INVALID_ARGUMENT"
    http_status = 400


class NotSupportedYet(MeshError, NotImplementedError):
    """The feature exists in the API that mesh keeps alive, but not in this version of mesh."""

    grpc_code = "UNIMPLEMENTED"
    http_status = 501


class UserCodeError(MeshError):
    """The user's code raised something that cannot be rebuilt here.

    ``type_name`` is the original class as "module.qualname", ``remote_traceback`` the traceback as text.
    """

    grpc_code = "UNKNOWN"

    def __init__(self, message: str, type_name: str = "", remote_traceback: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.remote_traceback = remote_traceback

    def __reduce__(self) -> tuple[type[UserCodeError], tuple[str, str, str]]:
        return type(self), (str(self), self.type_name, self.remote_traceback)

    def __str__(self) -> str:
        message = super().__str__()
        return f"{self.type_name}: {message}" if self.type_name and not message.startswith(self.type_name) else message


class RequestRejected(MeshError):
    """No replica has room and the queue in front of them is full; the request was not begun."""

    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 503


class ReplicaDied(MeshError):
    """The replica ended while it held the request, which may have run in part."""

    grpc_code = "UNAVAILABLE"
    http_status = 502


class DeadlineExceeded(MeshError, TimeoutError):
    """The request's deadline passed before it ended."""

    grpc_code = "DEADLINE_EXCEEDED"
    http_status = 408


class RequestCancelled(MeshError):
    """The request was cancelled by whoever called, or by the end of the request that it was a part of."""

    grpc_code = "CANCELLED"
    http_status = 499


class PayloadError(MeshError, TypeError):
    """An argument or a result cannot be encoded or decoded."""

    grpc_code = "INVALID_ARGUMENT"
    http_status = 500


class InvalidArgument(MeshError, ValueError):
    """What a client sent through the door is no request, or no argument of the method.

    ``field`` names the field of the request; empty for the request as a whole.
    """

    grpc_code = "INVALID_ARGUMENT"
    http_status = 400

    def __init__(self, message: str, field: str = "body") -> None:
        super().__init__(message)
        self.field = field


class PayloadTooLarge(MeshError, ValueError):
    """A payload is over the limit; nothing of it was sent on."""

    grpc_code = "RESOURCE_EXHAUSTED"
    http_status = 413


class DeploymentNotFound(MeshError, KeyError):
    """No deployment or application of that name is there."""

    grpc_code = "NOT_FOUND"
    http_status = 404

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MethodNotFound(MeshError, AttributeError):
    """The deployment has no such method."""

    grpc_code = "UNIMPLEMENTED"
    http_status = 500


class DeployFailed(MeshError, RuntimeError):
    """The replicas of what was run do not come up; the message holds the user's traceback."""

    grpc_code = "FAILED_PRECONDITION"


class DeployInProgress(MeshError, RuntimeError):
    """Somebody else is deploying that application at this moment; nothing was changed."""

    grpc_code = "ABORTED"
    http_status = 409


class MeshUnavailable(MeshError, ConnectionError):
    """There is no mesh to talk to, it belongs to somebody else, or it has ended."""

    grpc_code = "UNAVAILABLE"
    http_status = 503
