from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MethodKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    METHOD_KIND_UNSPECIFIED: _ClassVar[MethodKind]
    METHOD_KIND_DEF: _ClassVar[MethodKind]
    METHOD_KIND_ASYNC_DEF: _ClassVar[MethodKind]
    METHOD_KIND_GENERATOR: _ClassVar[MethodKind]
    METHOD_KIND_ASYNC_GENERATOR: _ClassVar[MethodKind]
METHOD_KIND_UNSPECIFIED: MethodKind
METHOD_KIND_DEF: MethodKind
METHOD_KIND_ASYNC_DEF: MethodKind
METHOD_KIND_GENERATOR: MethodKind
METHOD_KIND_ASYNC_GENERATOR: MethodKind

class DeploymentConfig(_message.Message):
    __slots__ = ("num_replicas", "max_ongoing_requests", "max_queued_requests", "request_timeout_s", "graceful_shutdown_timeout_s", "health_check_period_s", "health_check_timeout_s", "num_cpus", "num_gpus", "threads", "retry_on_death", "max_body_bytes", "user_config_json", "autoscaling_config", "max_surge", "max_unavailable", "health_check_failure_threshold")
    NUM_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_ONGOING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUED_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    GRACEFUL_SHUTDOWN_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    HEALTH_CHECK_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    HEALTH_CHECK_TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    NUM_CPUS_FIELD_NUMBER: _ClassVar[int]
    NUM_GPUS_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_DEATH_FIELD_NUMBER: _ClassVar[int]
    MAX_BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    USER_CONFIG_JSON_FIELD_NUMBER: _ClassVar[int]
    AUTOSCALING_CONFIG_FIELD_NUMBER: _ClassVar[int]
    MAX_SURGE_FIELD_NUMBER: _ClassVar[int]
    MAX_UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    HEALTH_CHECK_FAILURE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    num_replicas: int
    max_ongoing_requests: int
    max_queued_requests: int
    request_timeout_s: float
    graceful_shutdown_timeout_s: float
    health_check_period_s: float
    health_check_timeout_s: float
    num_cpus: float
    num_gpus: float
    threads: int
    retry_on_death: bool
    max_body_bytes: int
    user_config_json: str
    autoscaling_config: AutoscalingConfig
    max_surge: str
    max_unavailable: str
    health_check_failure_threshold: int
    def __init__(self, num_replicas: _Optional[int] = ..., max_ongoing_requests: _Optional[int] = ..., max_queued_requests: _Optional[int] = ..., request_timeout_s: _Optional[float] = ..., graceful_shutdown_timeout_s: _Optional[float] = ..., health_check_period_s: _Optional[float] = ..., health_check_timeout_s: _Optional[float] = ..., num_cpus: _Optional[float] = ..., num_gpus: _Optional[float] = ..., threads: _Optional[int] = ..., retry_on_death: _Optional[bool] = ..., max_body_bytes: _Optional[int] = ..., user_config_json: _Optional[str] = ..., autoscaling_config: _Optional[_Union[AutoscalingConfig, _Mapping]] = ..., max_surge: _Optional[str] = ..., max_unavailable: _Optional[str] = ..., health_check_failure_threshold: _Optional[int] = ...) -> None: ...

class AutoscalingConfig(_message.Message):
    __slots__ = ("min_replicas", "max_replicas", "initial_replicas", "target_ongoing_requests", "upscale_delay_s", "downscale_delay_s", "upscaling_factor", "downscaling_factor", "look_back_period_s", "metrics_interval_s", "policy")
    MIN_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    TARGET_ONGOING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    UPSCALE_DELAY_S_FIELD_NUMBER: _ClassVar[int]
    DOWNSCALE_DELAY_S_FIELD_NUMBER: _ClassVar[int]
    UPSCALING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    DOWNSCALING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    LOOK_BACK_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    METRICS_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    min_replicas: int
    max_replicas: int
    initial_replicas: int
    target_ongoing_requests: float
    upscale_delay_s: float
    downscale_delay_s: float
    upscaling_factor: float
    downscaling_factor: float
    look_back_period_s: float
    metrics_interval_s: float
    policy: str
    def __init__(self, min_replicas: _Optional[int] = ..., max_replicas: _Optional[int] = ..., initial_replicas: _Optional[int] = ..., target_ongoing_requests: _Optional[float] = ..., upscale_delay_s: _Optional[float] = ..., downscale_delay_s: _Optional[float] = ..., upscaling_factor: _Optional[float] = ..., downscaling_factor: _Optional[float] = ..., look_back_period_s: _Optional[float] = ..., metrics_interval_s: _Optional[float] = ..., policy: _Optional[str] = ...) -> None: ...

class Method(_message.Message):
    __slots__ = ("name", "kind", "without_parameters")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: MethodKind
    without_parameters: bool
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[_Union[MethodKind, str]] = ..., without_parameters: _Optional[bool] = ...) -> None: ...

class Runtime(_message.Message):
    __slots__ = ("executable", "sys_path", "working_directory")
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    SYS_PATH_FIELD_NUMBER: _ClassVar[int]
    WORKING_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    executable: str
    sys_path: _containers.RepeatedScalarFieldContainer[str]
    working_directory: str
    def __init__(self, executable: _Optional[str] = ..., sys_path: _Optional[_Iterable[str]] = ..., working_directory: _Optional[str] = ...) -> None: ...

class DeploymentSpec(_message.Message):
    __slots__ = ("application", "name", "version", "import_path", "source_sha256", "target_blob", "init_blob", "methods", "config", "runtime", "renewal")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IMPORT_PATH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SHA256_FIELD_NUMBER: _ClassVar[int]
    TARGET_BLOB_FIELD_NUMBER: _ClassVar[int]
    INIT_BLOB_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    RENEWAL_FIELD_NUMBER: _ClassVar[int]
    application: str
    name: str
    version: str
    import_path: str
    source_sha256: str
    target_blob: str
    init_blob: str
    methods: _containers.RepeatedCompositeFieldContainer[Method]
    config: DeploymentConfig
    runtime: Runtime
    renewal: str
    def __init__(self, application: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ..., import_path: _Optional[str] = ..., source_sha256: _Optional[str] = ..., target_blob: _Optional[str] = ..., init_blob: _Optional[str] = ..., methods: _Optional[_Iterable[_Union[Method, _Mapping]]] = ..., config: _Optional[_Union[DeploymentConfig, _Mapping]] = ..., runtime: _Optional[_Union[Runtime, _Mapping]] = ..., renewal: _Optional[str] = ...) -> None: ...

class ApplicationSpec(_message.Message):
    __slots__ = ("name", "route_prefix", "driver", "deployments", "origin")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROUTE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    route_prefix: str
    driver: str
    deployments: _containers.RepeatedCompositeFieldContainer[DeploymentSpec]
    origin: str
    def __init__(self, name: _Optional[str] = ..., route_prefix: _Optional[str] = ..., driver: _Optional[str] = ..., deployments: _Optional[_Iterable[_Union[DeploymentSpec, _Mapping]]] = ..., origin: _Optional[str] = ...) -> None: ...

class ReplicaLaunch(_message.Message):
    __slots__ = ("replica_id", "spec", "blob_directory", "address", "socket_path", "rank")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    BLOB_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOCKET_PATH_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    spec: DeploymentSpec
    blob_directory: str
    address: str
    socket_path: str
    rank: int
    def __init__(self, replica_id: _Optional[str] = ..., spec: _Optional[_Union[DeploymentSpec, _Mapping]] = ..., blob_directory: _Optional[str] = ..., address: _Optional[str] = ..., socket_path: _Optional[str] = ..., rank: _Optional[int] = ...) -> None: ...
