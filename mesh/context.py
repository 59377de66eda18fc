"""The request that the running code is a part of: what a call made from it inherits."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from mesh.deadline import NEVER
from mesh.v1 import replica_pb2 as pb

if TYPE_CHECKING:
    import asyncio

LONGEST_CHAIN = 16
"""Replicas that may hold a slot for one request at the same time."""


LONGEST_MODEL_ID = 256
"""Characters in the id of a multiplexed model."""


class Cancellable(Protocol):
    """A call that is under way."""

    def cancel(self) -> object: ...


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
    surroundings: Surroundings | None = None
    """The replica that works on it; None where it comes from."""


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
    """Which replica the running code is in.

    ``rank`` is a number from 0 to ``num_replicas`` - 1 that no other replica of the deployment has as long as it lives;
    the replica that takes its place takes its rank. During an update the new replicas count from 0 as well.
    """

    application: str
    deployment: str
    replica_id: str
    rank: int = 0


class Turns(Protocol):
    """Where plain methods of a replica's user object run."""

    def submit(self, job: Callable[[], object]) -> None:
        """Have ``job``, which must not raise, run when its turn comes."""
        ...

    def given_away(self) -> AbstractContextManager[None]: ...


class Models(Protocol):
    """The multiplexed models that a replica holds, as far as its user code tells; from any thread."""

    def hold(self, model_id: str) -> None: ...
    def release(self, model_id: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Surroundings:
    """What the user's code in a replica has around it; the loop is that of its ``async def`` methods."""

    replica: ReplicaContext
    loop: asyncio.AbstractEventLoop
    turns: Turns
    models: Models
    connection: object = None
    """The mesh that its handles call, when that is not the one of the process."""


def get_replica_context() -> ReplicaContext:
    """The replica that the caller runs in. Raises RuntimeError outside of a replica."""
    around = surroundings()
    if around is None:
        raise RuntimeError(
            "get_replica_context() was called outside of a replica: it works in the methods and the constructor of "
            "what is deployed, and in what they call"
        )
    return around.replica


def surroundings() -> Surroundings | None:
    """The surroundings of the running code; None outside of a replica."""
    request = current.get()
    return _surroundings if request is None or request.surroundings is None else request.surroundings


def enter_replica(around: Surroundings) -> None:
    """Say once, before user code is loaded, that this whole process is one replica."""
    global _surroundings
    _surroundings = around


_surroundings: Surroundings | None = None
