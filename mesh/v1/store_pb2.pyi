from mesh.v1 import controller_pb2 as _controller_pb2
from mesh.v1 import deployment_pb2 as _deployment_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoredMesh(_message.Message):
    __slots__ = ("launched",)
    LAUNCHED_FIELD_NUMBER: _ClassVar[int]
    launched: int
    def __init__(self, launched: _Optional[int] = ...) -> None: ...

class StoredApplication(_message.Message):
    __slots__ = ("spec", "deleting", "answering", "route_prefix", "reachable", "leaving", "deployments", "good", "previous")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    DELETING_FIELD_NUMBER: _ClassVar[int]
    ANSWERING_FIELD_NUMBER: _ClassVar[int]
    ROUTE_PREFIX_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    LEAVING_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    GOOD_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    spec: _deployment_pb2.ApplicationSpec
    deleting: bool
    answering: str
    route_prefix: str
    reachable: bool
    leaving: str
    deployments: _containers.RepeatedCompositeFieldContainer[StoredDeployment]
    good: _deployment_pb2.ApplicationSpec
    previous: _deployment_pb2.ApplicationSpec
    def __init__(self, spec: _Optional[_Union[_deployment_pb2.ApplicationSpec, _Mapping]] = ..., deleting: _Optional[bool] = ..., answering: _Optional[str] = ..., route_prefix: _Optional[str] = ..., reachable: _Optional[bool] = ..., leaving: _Optional[str] = ..., deployments: _Optional[_Iterable[_Union[StoredDeployment, _Mapping]]] = ..., good: _Optional[_Union[_deployment_pb2.ApplicationSpec, _Mapping]] = ..., previous: _Optional[_Union[_deployment_pb2.ApplicationSpec, _Mapping]] = ...) -> None: ...

class StoredDeployment(_message.Message):
    __slots__ = ("name", "wished", "serving", "revisions", "restarts", "also_serving", "size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WISHED_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    ALSO_SERVING_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    wished: str
    serving: str
    revisions: _containers.RepeatedCompositeFieldContainer[StoredRevision]
    restarts: int
    also_serving: _containers.RepeatedScalarFieldContainer[str]
    size: StoredSize
    def __init__(self, name: _Optional[str] = ..., wished: _Optional[str] = ..., serving: _Optional[str] = ..., revisions: _Optional[_Iterable[_Union[StoredRevision, _Mapping]]] = ..., restarts: _Optional[int] = ..., also_serving: _Optional[_Iterable[str]] = ..., size: _Optional[_Union[StoredSize, _Mapping]] = ...) -> None: ...

class StoredSize(_message.Message):
    __slots__ = ("replicas", "why")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    why: str
    def __init__(self, replicas: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class StoredRevision(_message.Message):
    __slots__ = ("key", "spec", "established", "gave_up", "failure")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    ESTABLISHED_FIELD_NUMBER: _ClassVar[int]
    GAVE_UP_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    key: str
    spec: _deployment_pb2.DeploymentSpec
    established: bool
    gave_up: bool
    failure: str
    def __init__(self, key: _Optional[str] = ..., spec: _Optional[_Union[_deployment_pb2.DeploymentSpec, _Mapping]] = ..., established: _Optional[bool] = ..., gave_up: _Optional[bool] = ..., failure: _Optional[str] = ...) -> None: ...

class StoredReplica(_message.Message):
    __slots__ = ("replica_id", "application", "deployment", "revision", "ready", "draining", "grace_s", "gpus", "rank", "why")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    GRACE_S_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    application: str
    deployment: str
    revision: str
    ready: bool
    draining: bool
    grace_s: float
    gpus: _containers.RepeatedScalarFieldContainer[str]
    rank: int
    why: str
    def __init__(self, replica_id: _Optional[str] = ..., application: _Optional[str] = ..., deployment: _Optional[str] = ..., revision: _Optional[str] = ..., ready: _Optional[bool] = ..., draining: _Optional[bool] = ..., grace_s: _Optional[float] = ..., gpus: _Optional[_Iterable[str]] = ..., rank: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class StoredEvent(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _controller_pb2.Event
    def __init__(self, event: _Optional[_Union[_controller_pb2.Event, _Mapping]] = ...) -> None: ...
