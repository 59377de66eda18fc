from mesh.v1 import deployment_pb2 as _deployment_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Endpoint(_message.Message):
    __slots__ = ("replica_id", "address", "socket_path")
    REPLICA_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOCKET_PATH_FIELD_NUMBER: _ClassVar[int]
    replica_id: str
    address: str
    socket_path: str
    def __init__(self, replica_id: _Optional[str] = ..., address: _Optional[str] = ..., socket_path: _Optional[str] = ...) -> None: ...

class EndpointSet(_message.Message):
    __slots__ = ("application", "deployment", "version", "endpoints", "config", "methods", "deleted", "message")
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    application: str
    deployment: str
    version: int
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    config: _deployment_pb2.DeploymentConfig
    methods: _containers.RepeatedCompositeFieldContainer[_deployment_pb2.Method]
    deleted: bool
    message: str
    def __init__(self, application: _Optional[str] = ..., deployment: _Optional[str] = ..., version: _Optional[int] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., config: _Optional[_Union[_deployment_pb2.DeploymentConfig, _Mapping]] = ..., methods: _Optional[_Iterable[_Union[_deployment_pb2.Method, _Mapping]]] = ..., deleted: _Optional[bool] = ..., message: _Optional[str] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ("prefix", "application", "deployment")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    application: str
    deployment: str
    def __init__(self, prefix: _Optional[str] = ..., application: _Optional[str] = ..., deployment: _Optional[str] = ...) -> None: ...
