"""What a deployment and an application are made from, as frozen values that are checked once, when they are made.

``to_proto`` and ``from_proto`` are the only way between these values and the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from mesh.v1 import deployment_pb2 as pb


class MethodKind(IntEnum):
    """How a method answers and what runs it."""

    DEF = pb.METHOD_KIND_DEF
    ASYNC_DEF = pb.METHOD_KIND_ASYNC_DEF
    GENERATOR = pb.METHOD_KIND_GENERATOR
    ASYNC_GENERATOR = pb.METHOD_KIND_ASYNC_GENERATOR


@dataclass(frozen=True, slots=True)
class Method:
    """A method that can be called from outside."""

    name: str
    kind: MethodKind
    without_parameters: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """The settings of a deployment that may change without a change of its code."""

    num_replicas: int = 1
    max_ongoing_requests: int = 100
    max_queued_requests: int = 1000
    request_timeout_s: float | None = 60.0
    graceful_shutdown_timeout_s: float = 20.0
    health_check_period_s: float = 10.0
    health_check_timeout_s: float = 30.0
    num_cpus: float = 0.0
    num_gpus: float = 0.0
    threads: int = 1
    retry_on_death: bool = False
    max_body_bytes: int = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the interpreter of a replica finds the user's code."""

    executable: str
    sys_path: tuple[str, ...]
    working_directory: str


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """Everything a replica is made from. Either ``import_path`` or ``target_blob`` is set."""

    application: str
    name: str
    runtime: Runtime
    version: str = ""
    import_path: str = ""
    source_sha256: str = ""
    target_blob: str = ""
    init_blob: str = ""
    methods: tuple[Method, ...] = ()
    config: DeploymentConfig = field(default_factory=DeploymentConfig)


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """A set of deployments that were run together; ``driver`` names the one that answers."""

    name: str
    driver: str
    deployments: tuple[DeploymentSpec, ...]
    route_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """An application as ``mesh.dag.build`` makes it: the spec and the blobs that it names by SHA-256."""

    spec: ApplicationSpec
    blobs: Mapping[str, bytes]
