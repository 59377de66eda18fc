from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_PICKLE: _ClassVar[Encoding]
    ENCODING_COMPOSITE: _ClassVar[Encoding]
    ENCODING_HTTP_REQUEST: _ClassVar[Encoding]
    ENCODING_HTTP_RESPONSE: _ClassVar[Encoding]
    ENCODING_BYTES: _ClassVar[Encoding]
    ENCODING_DOOR_CALL: _ClassVar[Encoding]
    ENCODING_DOOR_ANSWER: _ClassVar[Encoding]
    ENCODING_BUFFERED: _ClassVar[Encoding]
    ENCODING_SEGMENT: _ClassVar[Encoding]
    ENCODING_ITEMS: _ClassVar[Encoding]
    ENCODING_ERROR: _ClassVar[Encoding]
    ENCODING_WEBSOCKET: _ClassVar[Encoding]
    ENCODING_WEBSOCKET_MESSAGE: _ClassVar[Encoding]

class ErrorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_KIND_UNSPECIFIED: _ClassVar[ErrorKind]
    ERROR_KIND_USER: _ClassVar[ErrorKind]
    ERROR_KIND_DEADLINE: _ClassVar[ErrorKind]
    ERROR_KIND_CANCELLED: _ClassVar[ErrorKind]
    ERROR_KIND_REJECTED: _ClassVar[ErrorKind]
    ERROR_KIND_REPLICA_DIED: _ClassVar[ErrorKind]
    ERROR_KIND_BAD_CALL: _ClassVar[ErrorKind]
ENCODING_UNSPECIFIED: Encoding
ENCODING_PICKLE: Encoding
ENCODING_COMPOSITE: Encoding
ENCODING_HTTP_REQUEST: Encoding
ENCODING_HTTP_RESPONSE: Encoding
ENCODING_BYTES: Encoding
ENCODING_DOOR_CALL: Encoding
ENCODING_DOOR_ANSWER: Encoding
ENCODING_BUFFERED: Encoding
ENCODING_SEGMENT: Encoding
ENCODING_ITEMS: Encoding
ENCODING_ERROR: Encoding
ENCODING_WEBSOCKET: Encoding
ENCODING_WEBSOCKET_MESSAGE: Encoding
ERROR_KIND_UNSPECIFIED: ErrorKind
ERROR_KIND_USER: ErrorKind
ERROR_KIND_DEADLINE: ErrorKind
ERROR_KIND_CANCELLED: ErrorKind
ERROR_KIND_REJECTED: ErrorKind
ERROR_KIND_REPLICA_DIED: ErrorKind
ERROR_KIND_BAD_CALL: ErrorKind

class Payload(_message.Message):
    __slots__ = ("encoding", "body", "buffer_count")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BUFFER_COUNT_FIELD_NUMBER: _ClassVar[int]
    encoding: Encoding
    body: bytes
    buffer_count: int
    def __init__(self, encoding: _Optional[_Union[Encoding, str]] = ..., body: _Optional[bytes] = ..., buffer_count: _Optional[int] = ...) -> None: ...

class BufferedHead(_message.Message):
    __slots__ = ("encoding", "body", "buffer_sizes")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    BUFFER_SIZES_FIELD_NUMBER: _ClassVar[int]
    encoding: Encoding
    body: bytes
    buffer_sizes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, encoding: _Optional[_Union[Encoding, str]] = ..., body: _Optional[bytes] = ..., buffer_sizes: _Optional[_Iterable[int]] = ...) -> None: ...

class SegmentReference(_message.Message):
    __slots__ = ("id", "pid", "descriptor", "device", "inode", "size_bytes")
    ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTOR_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    INODE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    id: int
    pid: int
    descriptor: int
    device: int
    inode: int
    size_bytes: int
    def __init__(self, id: _Optional[int] = ..., pid: _Optional[int] = ..., descriptor: _Optional[int] = ..., device: _Optional[int] = ..., inode: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class SegmentNews(_message.Message):
    __slots__ = ("probe", "takes_segments", "released_ids", "spoilt_ids")
    PROBE_FIELD_NUMBER: _ClassVar[int]
    TAKES_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_IDS_FIELD_NUMBER: _ClassVar[int]
    SPOILT_IDS_FIELD_NUMBER: _ClassVar[int]
    probe: SegmentReference
    takes_segments: bool
    released_ids: _containers.RepeatedScalarFieldContainer[int]
    spoilt_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, probe: _Optional[_Union[SegmentReference, _Mapping]] = ..., takes_segments: _Optional[bool] = ..., released_ids: _Optional[_Iterable[int]] = ..., spoilt_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class Composite(_message.Message):
    __slots__ = ("body", "attachments")
    BODY_FIELD_NUMBER: _ClassVar[int]
    ATTACHMENTS_FIELD_NUMBER: _ClassVar[int]
    body: bytes
    attachments: _containers.RepeatedCompositeFieldContainer[Payload]
    def __init__(self, body: _Optional[bytes] = ..., attachments: _Optional[_Iterable[_Union[Payload, _Mapping]]] = ...) -> None: ...

class DoorCall(_message.Message):
    __slots__ = ("is_json", "body")
    IS_JSON_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    is_json: bool
    body: bytes
    def __init__(self, is_json: _Optional[bool] = ..., body: _Optional[bytes] = ...) -> None: ...

class ErrorDetail(_message.Message):
    __slots__ = ("kind", "type_name", "message", "traceback", "pickled")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPE_NAME_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    PICKLED_FIELD_NUMBER: _ClassVar[int]
    kind: ErrorKind
    type_name: str
    message: str
    traceback: str
    pickled: bytes
    def __init__(self, kind: _Optional[_Union[ErrorKind, str]] = ..., type_name: _Optional[str] = ..., message: _Optional[str] = ..., traceback: _Optional[str] = ..., pickled: _Optional[bytes] = ...) -> None: ...
