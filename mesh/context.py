"""The request that the running code is a part of: what a call made from it inherits."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count

from mesh.deadline import NEVER
from mesh.v1 import replica_pb2 as pb

LONGEST_CHAIN = 16
"""Replicas that may hold a slot for one request at the same time."""


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request as seen from inside: its id, its deadline, and what travels on with the calls that it makes.

    ``wire`` is the serialized ``CallContext`` for those calls, made once. ``cancel_calls`` holds what
    has to be cancelled when the request is cancelled before it ended.
    """

    request_id: str
    deadline: float = NEVER
    traceparent: str = ""
    chain: tuple[str, ...] = ()
    model_id: str = ""
    wire: bytes = b""
    cancelled: bool = False
    cancel_calls: set[Callable[[], object]] = field(default_factory=set)


current: ContextVar[RequestContext | None] = ContextVar("mesh_request", default=None)
"""The request that the running code is a part of; None outside of one."""


def new_request_id() -> str:
    """An id that no other request of this host bears; 16 to 24 characters."""
    return f"{_prefix()}{next(_numbers):x}"


def encode_call_context(traceparent: str, chain: tuple[str, ...], model_id: str) -> bytes:
    """The bytes of a ``CallContext``; empty when there is nothing to say."""
    if not (traceparent or chain or model_id):
        return b""
    return pb.CallContext(traceparent=traceparent, chain=chain, model_id=model_id).SerializeToString()


_numbers = count(1)
_known_prefix = (0, "")


def _prefix() -> str:
    global _known_prefix
    pid, prefix = _known_prefix
    if pid != os.getpid():
        _known_prefix = (os.getpid(), prefix := f"{os.urandom(6).hex()}-")
    return prefix
