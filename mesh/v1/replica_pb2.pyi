from mesh.v1 import payload_pb2 as _payload_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OpenFlag(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPEN_FLAG_UNSPECIFIED: _ClassVar[OpenFlag]
    OPEN_FLAG_PART: _ClassVar[OpenFlag]
    OPEN_FLAG_ITEMS_FOLLOW: _ClassVar[OpenFlag]
OPEN_FLAG_UNSPECIFIED: OpenFlag
OPEN_FLAG_PART: OpenFlag
OPEN_FLAG_ITEMS_FOLLOW: OpenFlag

class SessionRequest(_message.Message):
    __slots__ = ("method_names", "open_ids", "open_payloads", "open_methods", "open_encodings", "open_timeouts_ms", "open_request_ids", "open_contexts", "open_flags", "item_ids", "item_payloads", "item_encodings", "item_parts", "half_close_ids", "credit_ids", "credit_amounts", "cancel_ids", "segment_news", "waits")
    METHOD_NAMES_FIELD_NUMBER: _ClassVar[int]
    OPEN_IDS_FIELD_NUMBER: _ClassVar[int]
    OPEN_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    OPEN_METHODS_FIELD_NUMBER: _ClassVar[int]
    OPEN_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    OPEN_TIMEOUTS_MS_FIELD_NUMBER: _ClassVar[int]
    OPEN_REQUEST_IDS_FIELD_NUMBER: _ClassVar[int]
    OPEN_CONTEXTS_FIELD_NUMBER: _ClassVar[int]
    OPEN_FLAGS_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    ITEM_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    ITEM_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    ITEM_PARTS_FIELD_NUMBER: _ClassVar[int]
    HALF_CLOSE_IDS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_IDS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_IDS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_NEWS_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    method_names: _containers.RepeatedScalarFieldContainer[str]
    open_ids: _containers.RepeatedScalarFieldContainer[int]
    open_payloads: _containers.RepeatedScalarFieldContainer[bytes]
    open_methods: _containers.RepeatedScalarFieldContainer[int]
    open_encodings: _containers.RepeatedScalarFieldContainer[_payload_pb2.Encoding]
    open_timeouts_ms: _containers.RepeatedScalarFieldContainer[int]
    open_request_ids: _containers.RepeatedScalarFieldContainer[str]
    open_contexts: _containers.RepeatedScalarFieldContainer[bytes]
    open_flags: _containers.RepeatedScalarFieldContainer[int]
    item_ids: _containers.RepeatedScalarFieldContainer[int]
    item_payloads: _containers.RepeatedScalarFieldContainer[bytes]
    item_encodings: _containers.RepeatedScalarFieldContainer[_payload_pb2.Encoding]
    item_parts: _containers.RepeatedScalarFieldContainer[bool]
    half_close_ids: _containers.RepeatedScalarFieldContainer[int]
    credit_ids: _containers.RepeatedScalarFieldContainer[int]
    credit_amounts: _containers.RepeatedScalarFieldContainer[int]
    cancel_ids: _containers.RepeatedScalarFieldContainer[int]
    segment_news: _payload_pb2.SegmentNews
    waits: bool
    def __init__(self, method_names: _Optional[_Iterable[str]] = ..., open_ids: _Optional[_Iterable[int]] = ..., open_payloads: _Optional[_Iterable[bytes]] = ..., open_methods: _Optional[_Iterable[int]] = ..., open_encodings: _Optional[_Iterable[_Union[_payload_pb2.Encoding, str]]] = ..., open_timeouts_ms: _Optional[_Iterable[int]] = ..., open_request_ids: _Optional[_Iterable[str]] = ..., open_contexts: _Optional[_Iterable[bytes]] = ..., open_flags: _Optional[_Iterable[int]] = ..., item_ids: _Optional[_Iterable[int]] = ..., item_payloads: _Optional[_Iterable[bytes]] = ..., item_encodings: _Optional[_Iterable[_Union[_payload_pb2.Encoding, str]]] = ..., item_parts: _Optional[_Iterable[bool]] = ..., half_close_ids: _Optional[_Iterable[int]] = ..., credit_ids: _Optional[_Iterable[int]] = ..., credit_amounts: _Optional[_Iterable[int]] = ..., cancel_ids: _Optional[_Iterable[int]] = ..., segment_news: _Optional[_Union[_payload_pb2.SegmentNews, _Mapping]] = ..., waits: _Optional[bool] = ...) -> None: ...

class CallContext(_message.Message):
    __slots__ = ("traceparent", "chain", "model_id")
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    traceparent: str
    chain: _containers.RepeatedScalarFieldContainer[str]
    model_id: str
    def __init__(self, traceparent: _Optional[str] = ..., chain: _Optional[_Iterable[str]] = ..., model_id: _Optional[str] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("ongoing_elsewhere", "item_ids", "item_payloads", "item_encodings", "item_parts", "reply_ids", "reply_payloads", "reply_encodings", "end_ids", "error_ids", "errors", "rejected_ids", "draining", "credit_ids", "credit_amounts", "segment_news", "service_time_us", "models")
    ONGOING_ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    ITEM_IDS_FIELD_NUMBER: _ClassVar[int]
    ITEM_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    ITEM_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    ITEM_PARTS_FIELD_NUMBER: _ClassVar[int]
    REPLY_IDS_FIELD_NUMBER: _ClassVar[int]
    REPLY_PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    REPLY_ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    END_IDS_FIELD_NUMBER: _ClassVar[int]
    ERROR_IDS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_IDS_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    CREDIT_IDS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_AMOUNTS_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_NEWS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_TIME_US_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    ongoing_elsewhere: int
    item_ids: _containers.RepeatedScalarFieldContainer[int]
    item_payloads: _containers.RepeatedScalarFieldContainer[bytes]
    item_encodings: _containers.RepeatedScalarFieldContainer[_payload_pb2.Encoding]
    item_parts: _containers.RepeatedScalarFieldContainer[bool]
    reply_ids: _containers.RepeatedScalarFieldContainer[int]
    reply_payloads: _containers.RepeatedScalarFieldContainer[bytes]
    reply_encodings: _containers.RepeatedScalarFieldContainer[_payload_pb2.Encoding]
    end_ids: _containers.RepeatedScalarFieldContainer[int]
    error_ids: _containers.RepeatedScalarFieldContainer[int]
    errors: _containers.RepeatedCompositeFieldContainer[_payload_pb2.ErrorDetail]
    rejected_ids: _containers.RepeatedScalarFieldContainer[int]
    draining: bool
    credit_ids: _containers.RepeatedScalarFieldContainer[int]
    credit_amounts: _containers.RepeatedScalarFieldContainer[int]
    segment_news: _payload_pb2.SegmentNews
    service_time_us: int
    models: ModelSet
    def __init__(self, ongoing_elsewhere: _Optional[int] = ..., item_ids: _Optional[_Iterable[int]] = ..., item_payloads: _Optional[_Iterable[bytes]] = ..., item_encodings: _Optional[_Iterable[_Union[_payload_pb2.Encoding, str]]] = ..., item_parts: _Optional[_Iterable[bool]] = ..., reply_ids: _Optional[_Iterable[int]] = ..., reply_payloads: _Optional[_Iterable[bytes]] = ..., reply_encodings: _Optional[_Iterable[_Union[_payload_pb2.Encoding, str]]] = ..., end_ids: _Optional[_Iterable[int]] = ..., error_ids: _Optional[_Iterable[int]] = ..., errors: _Optional[_Iterable[_Union[_payload_pb2.ErrorDetail, _Mapping]]] = ..., rejected_ids: _Optional[_Iterable[int]] = ..., draining: _Optional[bool] = ..., credit_ids: _Optional[_Iterable[int]] = ..., credit_amounts: _Optional[_Iterable[int]] = ..., segment_news: _Optional[_Union[_payload_pb2.SegmentNews, _Mapping]] = ..., service_time_us: _Optional[int] = ..., models: _Optional[_Union[ModelSet, _Mapping]] = ...) -> None: ...

class ModelSet(_message.Message):
    __slots__ = ("model_ids",)
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ("timeout_s",)
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    timeout_s: float
    def __init__(self, timeout_s: _Optional[float] = ...) -> None: ...

class DrainResponse(_message.Message):
    __slots__ = ("ongoing",)
    ONGOING_FIELD_NUMBER: _ClassVar[int]
    ongoing: int
    def __init__(self, ongoing: _Optional[int] = ...) -> None: ...
