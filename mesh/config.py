"""What a deployment and an application are made from, as frozen values that are checked once, when they are made.

``to_proto`` and ``from_proto`` are the only way between these values and the wire.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum

from mesh.autoscaling import AutoscalingConfig
from mesh.checks import check_number, check_whole_number
from mesh.errors import ConfigError
from mesh.update_limits import Limit, UpdateLimits, check_limit, check_together, limit_from_wire, limit_to_wire
from mesh.v1 import controller_pb2
from mesh.v1 import deployment_pb2 as pb

LONGEST_NAME = 64
"""Characters in the name of a deployment or an application."""


# What the wire leaves out has these values, too.
DEFAULT_FAILURE_THRESHOLD = 3
DEFAULT_MAX_SURGE: Limit = "100%"
DEFAULT_MAX_UNAVAILABLE: Limit = 0


class RoutePrefix(Enum):
    """In the place of a route prefix that nobody has set."""

    UNSET = "unset"


class MethodKind(IntEnum):
    """How a method answers and what runs it."""

    DEF = pb.METHOD_KIND_DEF
    ASYNC_DEF = pb.METHOD_KIND_ASYNC_DEF
    GENERATOR = pb.METHOD_KIND_GENERATOR
    ASYNC_GENERATOR = pb.METHOD_KIND_ASYNC_GENERATOR

    @property
    def yields(self) -> bool:
        """It is a generator: it answers with items."""
        return self in (MethodKind.GENERATOR, MethodKind.ASYNC_GENERATOR)


@dataclass(frozen=True, slots=True)
class Method:
    """A method that can be called from outside."""

    name: str
    kind: MethodKind
    without_parameters: bool = False

    def to_proto(self) -> pb.Method:
        return pb.Method(name=self.name, kind=pb.MethodKind.Name(self.kind), without_parameters=self.without_parameters)

    @classmethod
    def from_proto(cls, message: pb.Method) -> Method:
        return cls(message.name, MethodKind(message.kind), message.without_parameters)


@dataclass(frozen=True, slots=True)
class DeploymentConfig:
    """The settings of a deployment that may change without a change of its code.

    ``request_timeout_s=None`` means never. ``num_cpus`` and ``num_gpus`` are hints: they keep nothing from starting.
    """

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
    user_config_json: str = ""
    """As :func:`mesh.user_config.encode_user_config` makes it."""
    autoscaling_config: AutoscalingConfig | None = None
    """In the place of ``num_replicas``, which then counts for nothing."""
    max_surge: Limit = DEFAULT_MAX_SURGE
    max_unavailable: Limit = DEFAULT_MAX_UNAVAILABLE
    health_check_failure_threshold: int = DEFAULT_FAILURE_THRESHOLD

    def __post_init__(self) -> None:
        for setting in ("num_replicas", "max_ongoing_requests", "threads", "health_check_failure_threshold"):
            check_whole_number(setting, getattr(self, setting), at_least=1)
        check_whole_number("max_body_bytes", self.max_body_bytes, at_least=1, at_most=2**63 - 1)
        check_whole_number("max_queued_requests", self.max_queued_requests, at_least=0)
        for setting in ("graceful_shutdown_timeout_s", "num_cpus", "num_gpus"):
            check_number(setting, getattr(self, setting), zero_allowed=True)
        for setting in ("health_check_period_s", "health_check_timeout_s"):
            check_number(setting, getattr(self, setting), zero_allowed=False)
        if self.request_timeout_s is not None:
            check_number(
                "request_timeout_s", self.request_timeout_s, zero_allowed=False, otherwise=" or None for never"
            )
        for setting in ("max_surge", "max_unavailable"):
            check_limit(setting, getattr(self, setting))
        check_together(self.max_surge, self.max_unavailable)
        if not isinstance(self.retry_on_death, bool):
            raise ConfigError(f"retry_on_death must be True or False, not {self.retry_on_death!r}")
        if self.autoscaling_config is not None and not isinstance(self.autoscaling_config, AutoscalingConfig):
            raise ConfigError(f"autoscaling_config must be an AutoscalingConfig, not {self.autoscaling_config!r}")

    def update_limits(self, wanted: int) -> UpdateLimits:
        """How far an update may go beyond and below ``wanted`` replicas."""
        return UpdateLimits.of(self.max_surge, self.max_unavailable, wanted)

    def to_proto(self) -> pb.DeploymentConfig:
        return pb.DeploymentConfig(
            num_replicas=self.num_replicas,
            max_ongoing_requests=self.max_ongoing_requests,
            max_queued_requests=self.max_queued_requests,
            request_timeout_s=self.request_timeout_s or 0.0,
            graceful_shutdown_timeout_s=self.graceful_shutdown_timeout_s,
            health_check_period_s=self.health_check_period_s,
            health_check_timeout_s=self.health_check_timeout_s,
            num_cpus=self.num_cpus,
            num_gpus=self.num_gpus,
            threads=self.threads,
            retry_on_death=self.retry_on_death,
            max_body_bytes=self.max_body_bytes,
            user_config_json=self.user_config_json,
            autoscaling_config=self.autoscaling_config.to_proto() if self.autoscaling_config else None,
            max_surge=limit_to_wire(self.max_surge),
            max_unavailable=limit_to_wire(self.max_unavailable),
            health_check_failure_threshold=self.health_check_failure_threshold,
        )

    @classmethod
    def from_proto(cls, message: pb.DeploymentConfig) -> DeploymentConfig:
        return cls(
            num_replicas=message.num_replicas,
            max_ongoing_requests=message.max_ongoing_requests,
            max_queued_requests=message.max_queued_requests,
            request_timeout_s=message.request_timeout_s or None,
            graceful_shutdown_timeout_s=message.graceful_shutdown_timeout_s,
            health_check_period_s=message.health_check_period_s,
            health_check_timeout_s=message.health_check_timeout_s,
            num_cpus=message.num_cpus,
            num_gpus=message.num_gpus,
            threads=message.threads,
            retry_on_death=message.retry_on_death,
            max_body_bytes=message.max_body_bytes,
            user_config_json=message.user_config_json,
            autoscaling_config=(
                AutoscalingConfig.from_proto(message.autoscaling_config)
                if message.HasField("autoscaling_config")
                else None
            ),
            max_surge=limit_from_wire(message.max_surge, DEFAULT_MAX_SURGE),
            max_unavailable=limit_from_wire(message.max_unavailable, DEFAULT_MAX_UNAVAILABLE),
            health_check_failure_threshold=message.health_check_failure_threshold or DEFAULT_FAILURE_THRESHOLD,
        )


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where the interpreter of a replica finds the user's code."""

    executable: str
    sys_path: tuple[str, ...]
    working_directory: str

    def to_proto(self) -> pb.Runtime:
        return pb.Runtime(executable=self.executable, sys_path=self.sys_path, working_directory=self.working_directory)

    @classmethod
    def from_proto(cls, message: pb.Runtime) -> Runtime:
        return cls(message.executable, tuple(message.sys_path), message.working_directory)


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """Everything a replica is made from. Either ``import_path`` or ``target_blob`` is set.

    A ``renewal`` that is not empty makes it another revision although its code is the same: new replicas are wanted.
    """

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
    renewal: str = ""

    def __post_init__(self) -> None:
        check_name("application", self.application)
        check_name("deployment", self.name)
        if bool(self.import_path) == bool(self.target_blob):
            raise ConfigError(
                f"deployment {self.name!r} needs either an import path or a pickled target, "
                f"not import_path={self.import_path!r} and target_blob={self.target_blob!r}"
            )
        if self.import_path and not all(self.import_path.partition(":")):
            raise ConfigError(f'an import path reads "module:qualname", not {self.import_path!r}')

    def blob_names(self) -> Iterator[str]:
        """The SHA-256 of each blob that a replica of it reads."""
        scaling = self.config.autoscaling_config
        return (name for name in (self.target_blob, self.init_blob, scaling.policy_blob if scaling else "") if name)

    def to_proto(self) -> pb.DeploymentSpec:
        return pb.DeploymentSpec(
            application=self.application,
            name=self.name,
            version=self.version,
            import_path=self.import_path,
            source_sha256=self.source_sha256,
            target_blob=self.target_blob,
            init_blob=self.init_blob,
            methods=[method.to_proto() for method in self.methods],
            config=self.config.to_proto(),
            runtime=self.runtime.to_proto(),
            renewal=self.renewal,
        )

    @classmethod
    def from_proto(cls, message: pb.DeploymentSpec) -> DeploymentSpec:
        return cls(
            application=message.application,
            name=message.name,
            runtime=Runtime.from_proto(message.runtime),
            version=message.version,
            import_path=message.import_path,
            source_sha256=message.source_sha256,
            target_blob=message.target_blob,
            init_blob=message.init_blob,
            methods=tuple(Method.from_proto(method) for method in message.methods),
            config=DeploymentConfig.from_proto(message.config),
            renewal=message.renewal,
        )


@dataclass(frozen=True, slots=True)
class ApplicationSpec:
    """A set of deployments that were run together; ``driver`` names the one that answers.

    ``route_prefix`` is its place in HTTP; None = none. ``origin`` is how it is found again, as the JSON object
    ``{"import_path": "module:node", "args": {...}}``; empty for what a script made.
    """

    name: str
    driver: str
    deployments: tuple[DeploymentSpec, ...]
    route_prefix: str | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        check_name("application", self.name)
        check_route_prefix(self.route_prefix)
        names = [deployment.name for deployment in self.deployments]
        if self.driver not in names:
            raise ConfigError(f"the driver of application {self.name!r} must be one of {names}, not {self.driver!r}")
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigError(f"application {self.name!r} has more than one deployment of the name {', '.join(twice)}")
        for deployment in self.deployments:
            if deployment.application != self.name:
                raise ConfigError(
                    f"deployment {deployment.name!r} belongs to application {deployment.application!r}, "
                    f"it cannot be a part of {self.name!r}"
                )

    def route_is_taken(self, other: str) -> ConfigError:
        """The error for a route prefix that the application ``other`` has."""
        return ConfigError(
            f"application {self.name!r} cannot have the route prefix {self.route_prefix!r}: application "
            f"{other!r} has it; give one of them another prefix or delete {other!r}"
        )

    def to_proto(self) -> pb.ApplicationSpec:
        return pb.ApplicationSpec(
            name=self.name,
            driver=self.driver,
            deployments=[deployment.to_proto() for deployment in self.deployments],
            route_prefix=self.route_prefix,
            origin=self.origin,
        )

    @classmethod
    def from_proto(cls, message: pb.ApplicationSpec) -> ApplicationSpec:
        return cls(
            name=message.name,
            driver=message.driver,
            deployments=tuple(DeploymentSpec.from_proto(deployment) for deployment in message.deployments),
            route_prefix=message.route_prefix if message.HasField("route_prefix") else None,
            origin=message.origin,
        )

    def blob_names(self) -> set[str]:
        """The SHA-256 of each blob that it names."""
        return {blob for deployment in self.deployments for blob in deployment.blob_names()}

    def with_deployment(self, changed: DeploymentSpec) -> ApplicationSpec:
        """The same application with ``changed`` in the place of its deployment of that name."""
        deployments = tuple(changed if one.name == changed.name else one for one in self.deployments)
        return replace(self, deployments=deployments)


@dataclass(frozen=True, slots=True)
class Application:
    """An application as ``mesh.dag.build`` makes it: the spec and the blobs that it names by SHA-256."""

    spec: ApplicationSpec
    blobs: Mapping[str, bytes]

    def __post_init__(self) -> None:
        for deployment in self.spec.deployments:
            for blob in deployment.blob_names():
                if blob not in self.blobs:
                    raise ConfigError(f"deployment {deployment.name!r} names the blob {blob}, which is not there")

    def to_proto(self) -> controller_pb2.ApplyRequest:
        return controller_pb2.ApplyRequest(
            application=self.spec.to_proto(),
            blobs=[controller_pb2.Blob(sha256=name, content=content) for name, content in self.blobs.items()],
        )

    @classmethod
    def from_proto(cls, message: controller_pb2.ApplyRequest) -> Application:
        for blob in message.blobs:
            if blob.sha256 != blob_name(blob.content):
                raise ConfigError(f"the content of the blob {blob.sha256} has another SHA-256")
        return cls(
            spec=ApplicationSpec.from_proto(message.application),
            blobs={blob.sha256: blob.content for blob in message.blobs},
        )


def blob_name(content: bytes) -> str:
    """The name of a blob: its SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def check_name(what: str, name: object) -> None:
    """Raises :class:`ConfigError` for what cannot be the name of a ``what`` ("deployment", "application")."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of {'an' if what[0] in 'aeiou' else 'a'} {what}: at most {LONGEST_NAME} "
            "letters of ASCII, digits, underscores, dots and hyphens are allowed, the first no dot and no hyphen"
        )


def check_route_prefix(prefix: object) -> None:
    """Raises :class:`ConfigError` for what cannot be a route prefix; None, no place in HTTP, can."""
    if prefix is None or prefix == "/":
        return
    if not isinstance(prefix, str) or not _ROUTE_PREFIX.fullmatch(prefix):
        raise ConfigError(
            f"{prefix!r} cannot be a route prefix: it starts with a slash, does not end with one and holds no empty "
            'segment and none of {}?#, such as "/api"; None = not reachable by HTTP'
        )
    if prefix.split("/")[1] == "-":
        raise ConfigError(f'{prefix!r} cannot be a route prefix: what begins with "/-" belongs to the mesh')


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ROUTE_PREFIX = re.compile(r"(/[^/{}?#]+)+")
