from mesh.v1 import deployment_pb2 as _deployment_pb2
from mesh.v1 import endpoint_pb2 as _endpoint_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PHASE_UNSPECIFIED: _ClassVar[Phase]
    PHASE_DEPLOYING: _ClassVar[Phase]
    PHASE_RUNNING: _ClassVar[Phase]
    PHASE_DEPLOY_FAILED: _ClassVar[Phase]
    PHASE_DELETING: _ClassVar[Phase]

class ReplicaState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICA_STATE_UNSPECIFIED: _ClassVar[ReplicaState]
    REPLICA_STATE_STARTING: _ClassVar[ReplicaState]
    REPLICA_STATE_RUNNING: _ClassVar[ReplicaState]
    REPLICA_STATE_DRAINING: _ClassVar[ReplicaState]
    REPLICA_STATE_STOPPED: _ClassVar[ReplicaState]
PHASE_UNSPECIFIED: Phase
PHASE_DEPLOYING: Phase
PHASE_RUNNING: Phase
PHASE_DEPLOY_FAILED: Phase
PHASE_DELETING: Phase
REPLICA_STATE_UNSPECIFIED: ReplicaState
REPLICA_STATE_STARTING: ReplicaState
REPLICA_STATE_RUNNING: ReplicaState
REPLICA_STATE_DRAINING: ReplicaState
REPLICA_STATE_STOPPED: ReplicaState

class Blob(_message.Message):
    __slots__ = ("sha256", "content")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    content: bytes
    def __init__(self, sha256: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("application", "blobs")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    application: _deployment_pb2.ApplicationSpec
    blobs: _containers.RepeatedCompositeFieldContainer[Blob]
    def __init__(self, application: _Optional[_Union[_deployment_pb2.ApplicationSpec, _Mapping]] = ..., blobs: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("application",)
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    application: str
    def __init__(self, application: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class ScaleRequest(_message.Message):
    __slots__ = ("application", "deployment", "num_replicas")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    NUM_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    application: str
    deployment: str
    num_replicas: int
    def __init__(self, application: _Optional[str] = ..., deployment: _Optional[str] = ..., num_replicas: _Optional[int] = ...) -> None: ...

class ScaleResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class RollbackRequest(_message.Message):
    __slots__ = ("application",)
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    application: str
    def __init__(self, application: _Optional[str] = ...) -> None: ...

class RollbackResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class GetApplicationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetApplicationsResponse(_message.Message):
    __slots__ = ("applications",)
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    applications: _containers.RepeatedCompositeFieldContainer[_deployment_pb2.ApplicationSpec]
    def __init__(self, applications: _Optional[_Iterable[_Union[_deployment_pb2.ApplicationSpec, _Mapping]]] = ...) -> None: ...

class GetBlobsRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, sha256: _Optional[_Iterable[str]] = ...) -> None: ...

class GetBlobsResponse(_message.Message):
    __slots__ = ("blobs",)
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    blobs: _containers.RepeatedCompositeFieldContainer[Blob]
    def __init__(self, blobs: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class WatchStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchStatusResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ...) -> None: ...

class GetEventsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: int
    def __init__(self, after: _Optional[int] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("number", "at_s", "application", "deployment", "replica_id", "what", "message")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AT_S_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    at_s: float
    application: str
    deployment: str
    replica_id: str
    what: str
    message: str
    def __init__(self, number: _Optional[int] = ..., at_s: _Optional[float] = ..., application: _Optional[str] = ..., deployment: _Optional[str] = ..., replica_id: _Optional[str] = ..., what: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("revision", "applications", "trouble")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    revision: int
    applications: _containers.RepeatedCompositeFieldContainer[ApplicationStatus]
    trouble: str
    def __init__(self, revision: _Optional[int] = ..., applications: _Optional[_Iterable[_Union[ApplicationStatus, _Mapping]]] = ..., trouble: _Optional[str] = ...) -> None: ...

class ApplicationStatus(_message.Message):
    __slots__ = ("name", "phase", "message", "route_prefix", "driver", "deployments", "answering", "in_phase_s")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROUTE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    IN_PHASE_S_FIELD_NUMBER: _ClassVar[int]
    name: str
    phase: Phase
    message: str
    route_prefix: str
    driver: str
    deployments: _containers.RepeatedCompositeFieldContainer[DeploymentStatus]
    answering: str
    in_phase_s: float
    def __init__(self, name: _Optional[str] = ..., phase: _Optional[_Union[Phase, str]] = ..., message: _Optional[str] = ..., route_prefix: _Optional[str] = ..., driver: _Optional[str] = ..., deployments: _Optional[_Iterable[_Union[DeploymentStatus, _Mapping]]] = ..., answering: _Optional[str] = ..., in_phase_s: _Optional[float] = ...) -> None: ...

class DeploymentStatus(_message.Message):
    __slots__ = ("name", "phase", "message", "failed_starts", "restarts", "num_replicas", "replicas", "scaling", "scaled_ago_s", "in_phase_s", "revision", "serving")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FAILED_STARTS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    NUM_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    SCALING_FIELD_NUMBER: _ClassVar[int]
    SCALED_AGO_S_FIELD_NUMBER: _ClassVar[int]
    IN_PHASE_S_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    name: str
    phase: Phase
    message: str
    failed_starts: int
    restarts: int
    num_replicas: int
    replicas: _containers.RepeatedCompositeFieldContainer[ReplicaStatus]
    scaling: str
    scaled_ago_s: float
    in_phase_s: float
    revision: str
    serving: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., phase: _Optional[_Union[Phase, str]] = ..., message: _Optional[str] = ..., failed_starts: _Optional[int] = ..., restarts: _Optional[int] = ..., num_replicas: _Optional[int] = ..., replicas: _Optional[_Iterable[_Union[ReplicaStatus, _Mapping]]] = ..., scaling: _Optional[str] = ..., scaled_ago_s: _Optional[float] = ..., in_phase_s: _Optional[float] = ..., revision: _Optional[str] = ..., serving: _Optional[_Iterable[str]] = ...) -> None: ...

class ReplicaStatus(_message.Message):
    __slots__ = ("replica_id", "state", "pid", "address", "in_state_s", "rank", "message", "revision", "why")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IN_STATE_S_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    state: ReplicaState
    pid: int
    address: str
    in_state_s: float
    rank: int
    message: str
    revision: str
    why: str
    def __init__(self, replica_id: _Optional[str] = ..., state: _Optional[_Union[ReplicaState, str]] = ..., pid: _Optional[int] = ..., address: _Optional[str] = ..., in_state_s: _Optional[float] = ..., rank: _Optional[int] = ..., message: _Optional[str] = ..., revision: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...

class AttachRequest(_message.Message):
    __slots__ = ("replica_id", "starting", "ready", "failed", "draining")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    starting: ReplicaStarting
    ready: ReplicaReady
    failed: ReplicaFailed
    draining: ReplicaDraining
    def __init__(self, replica_id: _Optional[str] = ..., starting: _Optional[_Union[ReplicaStarting, _Mapping]] = ..., ready: _Optional[_Union[ReplicaReady, _Mapping]] = ..., failed: _Optional[_Union[ReplicaFailed, _Mapping]] = ..., draining: _Optional[_Union[ReplicaDraining, _Mapping]] = ...) -> None: ...

class PolicyQuestion(_message.Message):
    __slots__ = ("number", "num_replicas", "running_replicas", "ongoing_requests")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NUM_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    ONGOING_REQUESTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    num_replicas: int
    running_replicas: int
    ongoing_requests: float
    def __init__(self, number: _Optional[int] = ..., num_replicas: _Optional[int] = ..., running_replicas: _Optional[int] = ..., ongoing_requests: _Optional[float] = ...) -> None: ...

class PolicyAnswer(_message.Message):
    __slots__ = ("number", "replicas", "failure")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    number: int
    replicas: float
    failure: str
    def __init__(self, number: _Optional[int] = ..., replicas: _Optional[float] = ..., failure: _Optional[str] = ...) -> None: ...

class ReplicaStarting(_message.Message):
    __slots__ = ("pid",)
    PID_FIELD_NUMBER: _ClassVar[int]
    pid: int
    def __init__(self, pid: _Optional[int] = ...) -> None: ...

class ReplicaReady(_message.Message):
    __slots__ = ("pid", "address", "condition", "policy_answer")
    PID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    POLICY_ANSWER_FIELD_NUMBER: _ClassVar[int]
    pid: int
    address: str
    condition: ReplicaCondition
    policy_answer: PolicyAnswer
    def __init__(self, pid: _Optional[int] = ..., address: _Optional[str] = ..., condition: _Optional[_Union[ReplicaCondition, _Mapping]] = ..., policy_answer: _Optional[_Union[PolicyAnswer, _Mapping]] = ...) -> None: ...

class ReplicaCondition(_message.Message):
    __slots__ = ("user_config_sha256", "refused_sha256", "refusal", "failed_checks", "check_failure")
    USER_CONFIG_SHA256_FIELD_NUMBER: _ClassVar[int]
    REFUSED_SHA256_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_CHECKS_FIELD_NUMBER: _ClassVar[int]
    CHECK_FAILURE_FIELD_NUMBER: _ClassVar[int]
    user_config_sha256: str
    refused_sha256: str
    refusal: str
    failed_checks: int
    check_failure: str
    def __init__(self, user_config_sha256: _Optional[str] = ..., refused_sha256: _Optional[str] = ..., refusal: _Optional[str] = ..., failed_checks: _Optional[int] = ..., check_failure: _Optional[str] = ...) -> None: ...

class ReplicaFailed(_message.Message):
    __slots__ = ("message", "traceback")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    message: str
    traceback: str
    def __init__(self, message: _Optional[str] = ..., traceback: _Optional[str] = ...) -> None: ...

class ReplicaDraining(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AttachResponse(_message.Message):
    __slots__ = ("drain", "configure", "ask_policy")
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    CONFIGURE_FIELD_NUMBER: _ClassVar[int]
    ASK_POLICY_FIELD_NUMBER: _ClassVar[int]
    drain: DrainCommand
    configure: ConfigureCommand
    ask_policy: PolicyQuestion
    def __init__(self, drain: _Optional[_Union[DrainCommand, _Mapping]] = ..., configure: _Optional[_Union[ConfigureCommand, _Mapping]] = ..., ask_policy: _Optional[_Union[PolicyQuestion, _Mapping]] = ...) -> None: ...

class DrainCommand(_message.Message):
    __slots__ = ("timeout_s",)
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    timeout_s: float
    def __init__(self, timeout_s: _Optional[float] = ...) -> None: ...

class ConfigureCommand(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: _deployment_pb2.DeploymentConfig
    def __init__(self, config: _Optional[_Union[_deployment_pb2.DeploymentConfig, _Mapping]] = ...) -> None: ...

class ReportDemandRequest(_message.Message):
    __slots__ = ("demands",)
    DEMANDS_FIELD_NUMBER: _ClassVar[int]
    demands: _containers.RepeatedCompositeFieldContainer[Demand]
    def __init__(self, demands: _Optional[_Iterable[_Union[Demand, _Mapping]]] = ...) -> None: ...

class Demand(_message.Message):
    __slots__ = ("application", "deployment", "ongoing", "without_replica")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    ONGOING_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_REPLICA_FIELD_NUMBER: _ClassVar[int]
    application: str
    deployment: str
    ongoing: float
    without_replica: int
    def __init__(self, application: _Optional[str] = ..., deployment: _Optional[str] = ..., ongoing: _Optional[float] = ..., without_replica: _Optional[int] = ...) -> None: ...

class ReportDemandResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchEndpointsRequest(_message.Message):
    __slots__ = ("application", "deployment")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    application: str
    deployment: str
    def __init__(self, application: _Optional[str] = ..., deployment: _Optional[str] = ...) -> None: ...

class WatchEndpointsResponse(_message.Message):
    __slots__ = ("endpoint_set",)
    ENDPOINT_SET_FIELD_NUMBER: _ClassVar[int]
    endpoint_set: _endpoint_pb2.EndpointSet
    def __init__(self, endpoint_set: _Optional[_Union[_endpoint_pb2.EndpointSet, _Mapping]] = ...) -> None: ...

class WatchRoutesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchRoutesResponse(_message.Message):
    __slots__ = ("routes",)
    ROUTES_FIELD_NUMBER: _ClassVar[int]
    routes: _containers.RepeatedCompositeFieldContainer[_endpoint_pb2.Route]
    def __init__(self, routes: _Optional[_Iterable[_Union[_endpoint_pb2.Route, _Mapping]]] = ...) -> None: ...
