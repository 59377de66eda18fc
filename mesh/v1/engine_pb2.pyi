from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EngineRequest(_message.Message):
    __slots__ = ("launch", "kill", "list")
    LAUNCH_FIELD_NUMBER: _ClassVar[int]
    KILL_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    launch: Launch
    kill: Kill
    list: List
    def __init__(self, launch: _Optional[_Union[Launch, _Mapping]] = ..., kill: _Optional[_Union[Kill, _Mapping]] = ..., list: _Optional[_Union[List, _Mapping]] = ...) -> None: ...

class EngineEvent(_message.Message):
    __slots__ = ("launched", "exit", "listed")
    LAUNCHED_FIELD_NUMBER: _ClassVar[int]
    EXIT_FIELD_NUMBER: _ClassVar[int]
    LISTED_FIELD_NUMBER: _ClassVar[int]
    launched: Launched
    exit: Exit
    listed: Listed
    def __init__(self, launched: _Optional[_Union[Launched, _Mapping]] = ..., exit: _Optional[_Union[Exit, _Mapping]] = ..., listed: _Optional[_Union[Listed, _Mapping]] = ...) -> None: ...

class Launch(_message.Message):
    __slots__ = ("process_id", "role", "argument", "title", "output_prefix", "executable", "environment")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ARGUMENT_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PREFIX_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    role: str
    argument: bytes
    title: str
    output_prefix: str
    executable: str
    environment: _containers.ScalarMap[str, str]
    def __init__(self, process_id: _Optional[str] = ..., role: _Optional[str] = ..., argument: _Optional[bytes] = ..., title: _Optional[str] = ..., output_prefix: _Optional[str] = ..., executable: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Kill(_message.Message):
    __slots__ = ("process_id",)
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    def __init__(self, process_id: _Optional[str] = ...) -> None: ...

class List(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Launched(_message.Message):
    __slots__ = ("process_id", "pid", "error")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    pid: int
    error: str
    def __init__(self, process_id: _Optional[str] = ..., pid: _Optional[int] = ..., error: _Optional[str] = ...) -> None: ...

class Exit(_message.Message):
    __slots__ = ("process_id", "pid", "status")
    PROCESS_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    process_id: str
    pid: int
    status: int
    def __init__(self, process_id: _Optional[str] = ..., pid: _Optional[int] = ..., status: _Optional[int] = ...) -> None: ...

class Listed(_message.Message):
    __slots__ = ("processes",)
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    processes: _containers.RepeatedCompositeFieldContainer[Launched]
    def __init__(self, processes: _Optional[_Iterable[_Union[Launched, _Mapping]]] = ...) -> None: ...
