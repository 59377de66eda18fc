"""The request that the running code is a part of: what a call made from it inherits."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from mesh.deadline import NEVER
from mesh.v1 import replica_pb2 as pb

LONGEST_CHAIN = 16
"""Replicas that may hold a slot for one request at the same time."""


class Cancellable(Protocol):
    """A call that is under way."""

    def cancel(self) -> None: ...


class Turn(Protocol):
    """The right of one thread to run plain methods of a replica's user object."""

    def given_away(self) -> AbstractContextManager[None]:
        """While the thread waits inside, others have the turn; the end waits until it is back."""
        ...


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request as seen from inside: its id, its deadline, and what travels on with the calls that it makes.

    ``wire`` is the serialized ``CallContext`` for those calls, made once. ``calls`` holds what
    has to be cancelled when the request is cancelled before it ended.
    """

    request_id: str
    deadline: float = NEVER
    traceparent: str = ""
    chain: tuple[str, ...] = ()
    model_id: str = ""
    wire: bytes = b""
    cancelled: bool = False
    calls: set[Cancellable] = field(default_factory=set)


current: ContextVar[RequestContext | None] = ContextVar("mesh_request", default=None)
"""The request that the running code is a part of; None outside of one."""


turn: ContextVar[Turn | None] = ContextVar("mesh_turn", default=None)
"""The turn on which the running code is; None on a loop and outside of a replica."""


def new_request_id() -> str:
    """An id that no other request of this host bears; 16 to 24 characters."""
    return f"{_prefix}{next(_numbers):x}"


def encode_call_context(traceparent: str, chain: tuple[str, ...], model_id: str) -> bytes:
    """The bytes of a ``CallContext``; empty when there is nothing to say."""
    if not (traceparent or chain or model_id):
        return b""
    return pb.CallContext(traceparent=traceparent, chain=chain, model_id=model_id).SerializeToString()


_numbers = count(1)
_prefix = ""


def _new_prefix() -> None:
    global _prefix
    _prefix = f"{os.urandom(6).hex()}-"


_new_prefix()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_prefix)


@dataclass(frozen=True, slots=True)
class ReplicaContext:
    """Which replica the running code is in."""

    application: str
    deployment: str
    replica_id: str


def get_replica_context() -> ReplicaContext:
    """The replica that the caller runs in. Raises RuntimeError outside of a replica."""
    if _replica is None:
        raise RuntimeError("get_replica_context() was called outside of a replica")
    return _replica


def enter_replica(replica: ReplicaContext) -> None:
    """Say once, before user code is loaded, which replica this process is."""
    global _replica
    _replica = replica


_replica: ReplicaContext | None = None
