"""Frames on their way into a batch, kind by kind; a column that holds only defaults is left out."""

from __future__ import annotations

from mesh.v1 import payload_pb2, replica_pb2
from mesh.v1.replica_pb2 import SessionRequest

PICKLE: int = payload_pb2.ENCODING_PICKLE
PART: int = replica_pb2.OPEN_FLAG_PART
ITEMS_FOLLOW: int = replica_pb2.OPEN_FLAG_ITEMS_FOLLOW


class OpenColumns:
    """Open frames."""

    __slots__ = ("any_context", "any_encoding", "any_flags", "bodies", "contexts", "encodings", "flags", "ids",
                 "methods", "request_ids", "timeouts_ms")  # fmt: skip

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.bodies: list[bytes] = []
        self.methods: list[int] = []
        self.encodings: list[int] = []
        self.timeouts_ms: list[int] = []
        self.request_ids: list[str] = []
        self.contexts: list[bytes] = []
        self.flags: list[int] = []
        self.any_encoding = self.any_context = self.any_flags = False

    def add(
        self,
        call_id: int,
        method: int,
        encoding: int,
        body: bytes,
        timeout_ms: int,
        request_id: str,
        context: bytes,
        flags: int,
    ) -> None:
        self.ids.append(call_id)
        self.bodies.append(body)
        self.methods.append(method)
        self.encodings.append(encoding)
        self.timeouts_ms.append(timeout_ms)
        self.request_ids.append(request_id)
        self.contexts.append(context)
        self.flags.append(flags)
        if encoding != PICKLE:
            self.any_encoding = True
        if context:
            self.any_context = True
        if flags:
            self.any_flags = True

    def batch(self) -> SessionRequest:
        batch = SessionRequest(open_ids=self.ids, open_payloads=self.bodies, open_request_ids=self.request_ids)
        if any(self.methods):
            batch.open_methods.extend(self.methods)
        if any(self.timeouts_ms):
            batch.open_timeouts_ms.extend(self.timeouts_ms)
        if self.any_encoding:
            batch.open_encodings.extend(self.encodings)  # type: ignore[arg-type]
        if self.any_context:
            batch.open_contexts.extend(self.contexts)
        if self.any_flags:
            batch.open_flags.extend(self.flags)
        return batch


class ReplyColumns:
    """Reply frames."""

    __slots__ = ("any_encoding", "bodies", "encodings", "ids")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.bodies: list[bytes] = []
        self.encodings: list[int] = []
        self.any_encoding = False

    def add(self, call_id: int, encoding: int, body: bytes) -> None:
        self.ids.append(call_id)
        self.bodies.append(body)
        self.encodings.append(encoding)
        if encoding != PICKLE:
            self.any_encoding = True


class ItemColumns:
    """Item frames."""

    __slots__ = ("any_encoding", "any_part", "bodies", "encodings", "ids", "parts")

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.bodies: list[bytes] = []
        self.encodings: list[int] = []
        self.parts: list[bool] = []
        self.any_encoding = self.any_part = False

    def add(self, call_id: int, encoding: int, body: bytes, more: bool) -> None:
        self.ids.append(call_id)
        self.bodies.append(body)
        self.encodings.append(encoding)
        self.parts.append(more)
        if encoding != PICKLE:
            self.any_encoding = True
        if more:
            self.any_part = True
