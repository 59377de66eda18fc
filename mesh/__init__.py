"""mesh: a gRPC-first serving mesh for Python. The public names, loaded when they are first used."""

from __future__ import annotations

import os as _os
from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

# gRPC reads these when it is first imported. It would report every drained connection, and its fork handlers would
# stop the threads of a process that forks for reasons of its own.
_os.environ.setdefault("GRPC_VERBOSITY", "NONE")
_os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

if TYPE_CHECKING:
    from mesh.api import (
        delete,
        get,
        get_deployment,
        list_deployments,
        rollback,
        run,
        shutdown,
        start,
        status,
    )
    from mesh.asgi import ingress
    from mesh.autoscaling import AutoscalingConfig, AutoscalingContext
    from mesh.batching import batch
    from mesh.context import ReplicaContext, get_replica_context
    from mesh.deployments import Deployment, deployment
    from mesh.errors import (
        ConfigError,
        DeadlineExceeded,
        DeployFailed,
        DeployInProgress,
        DeploymentNotFound,
        MeshError,
        MeshUnavailable,
        MethodNotFound,
        NotSupportedYet,
        PayloadError,
        PayloadTooLarge,
        ReplicaDied,
        RequestCancelled,
        RequestRejected,
        UserCodeError,
    )
    from mesh.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator, Ref
    from mesh.listen_options import GRPCOptions, HTTPOptions
    from mesh.multiplexing import get_multiplexed_model_id, multiplexed

_HOMES = {
    "mesh.api": "delete get get_deployment list_deployments rollback run shutdown start status",
    "mesh.asgi": "ingress",
    "mesh.autoscaling": "AutoscalingConfig AutoscalingContext",
    "mesh.batching": "batch",
    "mesh.context": "ReplicaContext get_replica_context",
    "mesh.deployments": "Deployment deployment",
    "mesh.errors": (
        "ConfigError DeadlineExceeded DeployFailed DeployInProgress DeploymentNotFound MeshError MeshUnavailable "
        "MethodNotFound NotSupportedYet PayloadError PayloadTooLarge ReplicaDied RequestCancelled RequestRejected "
        "UserCodeError"
    ),
    "mesh.handle": "DeploymentHandle DeploymentResponse DeploymentResponseGenerator Ref",
    "mesh.listen_options": "GRPCOptions HTTPOptions",
    "mesh.multiplexing": "get_multiplexed_model_id multiplexed",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "AutoscalingConfig",
    "AutoscalingContext",
    "ConfigError",
    "DeadlineExceeded",
    "DeployFailed",
    "DeployInProgress",
    "Deployment",
    "DeploymentHandle",
    "DeploymentNotFound",
    "DeploymentResponse",
    "DeploymentResponseGenerator",
    "GRPCOptions",
    "HTTPOptions",
    "MeshError",
    "MeshUnavailable",
    "MethodNotFound",
    "NotSupportedYet",
    "PayloadError",
    "PayloadTooLarge",
    "Ref",
    "ReplicaContext",
    "ReplicaDied",
    "RequestCancelled",
    "RequestRejected",
    "UserCodeError",
    "batch",
    "delete",
    "deployment",
    "get",
    "get_deployment",
    "get_multiplexed_model_id",
    "get_replica_context",
    "ingress",
    "list_deployments",
    "multiplexed",
    "rollback",
    "run",
    "shutdown",
    "start",
    "status",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'mesh' has no attribute {name!r}")
    value = getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
