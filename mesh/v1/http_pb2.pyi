from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HttpRequest(_message.Message):
    __slots__ = ("method", "scheme", "http_version", "path", "raw_path", "query_string", "root_path", "header_names", "header_values", "client_host", "client_port", "server_host", "server_port", "body", "body_follows", "max_body_bytes")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    HTTP_VERSION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RAW_PATH_FIELD_NUMBER: _ClassVar[int]
    QUERY_STRING_FIELD_NUMBER: _ClassVar[int]
    ROOT_PATH_FIELD_NUMBER: _ClassVar[int]
    HEADER_NAMES_FIELD_NUMBER: _ClassVar[int]
    HEADER_VALUES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_HOST_FIELD_NUMBER: _ClassVar[int]
    CLIENT_PORT_FIELD_NUMBER: _ClassVar[int]
    SERVER_HOST_FIELD_NUMBER: _ClassVar[int]
    SERVER_PORT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    MAX_BODY_BYTES_FIELD_NUMBER: _ClassVar[int]
    method: str
    scheme: str
    http_version: str
    path: str
    raw_path: bytes
    query_string: bytes
    root_path: str
    header_names: _containers.RepeatedScalarFieldContainer[bytes]
    header_values: _containers.RepeatedScalarFieldContainer[bytes]
    client_host: str
    client_port: int
    server_host: str
    server_port: int
    body: bytes
    body_follows: bool
    max_body_bytes: int
    def __init__(self, method: _Optional[str] = ..., scheme: _Optional[str] = ..., http_version: _Optional[str] = ..., path: _Optional[str] = ..., raw_path: _Optional[bytes] = ..., query_string: _Optional[bytes] = ..., root_path: _Optional[str] = ..., header_names: _Optional[_Iterable[bytes]] = ..., header_values: _Optional[_Iterable[bytes]] = ..., client_host: _Optional[str] = ..., client_port: _Optional[int] = ..., server_host: _Optional[str] = ..., server_port: _Optional[int] = ..., body: _Optional[bytes] = ..., body_follows: _Optional[bool] = ..., max_body_bytes: _Optional[int] = ...) -> None: ...

class HttpResponse(_message.Message):
    __slots__ = ("status", "header_names", "header_values", "body", "body_follows")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    HEADER_NAMES_FIELD_NUMBER: _ClassVar[int]
    HEADER_VALUES_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BODY_FOLLOWS_FIELD_NUMBER: _ClassVar[int]
    status: int
    header_names: _containers.RepeatedScalarFieldContainer[bytes]
    header_values: _containers.RepeatedScalarFieldContainer[bytes]
    body: bytes
    body_follows: bool
    def __init__(self, status: _Optional[int] = ..., header_names: _Optional[_Iterable[bytes]] = ..., header_values: _Optional[_Iterable[bytes]] = ..., body: _Optional[bytes] = ..., body_follows: _Optional[bool] = ...) -> None: ...

class WebSocketMessage(_message.Message):
    __slots__ = ("text", "binary", "accept", "close", "refusal")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    text: str
    binary: bytes
    accept: WebSocketAccept
    close: WebSocketClose
    refusal: HttpResponse
    def __init__(self, text: _Optional[str] = ..., binary: _Optional[bytes] = ..., accept: _Optional[_Union[WebSocketAccept, _Mapping]] = ..., close: _Optional[_Union[WebSocketClose, _Mapping]] = ..., refusal: _Optional[_Union[HttpResponse, _Mapping]] = ...) -> None: ...

class WebSocketAccept(_message.Message):
    __slots__ = ("subprotocol", "header_names", "header_values")
    SUBPROTOCOL_FIELD_NUMBER: _ClassVar[int]
    HEADER_NAMES_FIELD_NUMBER: _ClassVar[int]
    HEADER_VALUES_FIELD_NUMBER: _ClassVar[int]
    subprotocol: str
    header_names: _containers.RepeatedScalarFieldContainer[bytes]
    header_values: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, subprotocol: _Optional[str] = ..., header_names: _Optional[_Iterable[bytes]] = ..., header_values: _Optional[_Iterable[bytes]] = ...) -> None: ...

class WebSocketClose(_message.Message):
    __slots__ = ("code", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...
