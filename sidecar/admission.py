"""Whether a replica takes a call: it has room, or the call belongs to a request that holds a slot here already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from mesh.context import LONGEST_CHAIN
from sidecar.promises import Caller, Promises


class Admission(Generic[Caller]):
    """Counts what a replica is working on. ``limit`` is strict but for requests that come back to the replica.

    Room that was promised to a caller is only for calls of that one. Whoever was rejected is told when there is room.

    A request that re-enters (A calls B, B calls A) must be let in, or it would wait for itself for ever; how deep that
    goes is bounded by the length of its chain.
    """

    def __init__(self, replica_id: str, limit: int) -> None:
        self.replica_id = replica_id
        self.limit = limit
        self.ongoing = 0
        self.draining = False
        self.promises: Promises[Caller] = Promises()
        self._rejected: set[Caller] = set()
        self.most_ongoing = 0
        """The highest ``ongoing`` there ever was."""

    @property
    def has_room(self) -> bool:
        """A call from outside would be taken now."""
        return self.room > 0

    @property
    def room(self) -> int:
        """Calls that would be taken now from callers that were promised nothing; 0 or less when there is no room."""
        return 0 if self.draining else self.limit - self.ongoing - self.promises.total

    def enter(self, chain: Sequence[str], caller: Caller) -> bool:
        """Take a call if it may come in; every call taken must :meth:`leave` once."""
        promises = self.promises
        if promises.total:
            promises.take(caller)
        if (self.ongoing + promises.total >= self.limit or self.draining) and self.replica_id not in chain:
            self._rejected.add(caller)
            return False
        self.ongoing += 1
        if self.ongoing > self.most_ongoing:
            self.most_ongoing = self.ongoing
        return True

    def leave(self) -> None:
        """A call that was taken has ended, its user code included."""
        assert self.ongoing > 0, f"{self.replica_id}: a call left that had not entered"
        self.ongoing -= 1

    @property
    def is_awaited(self) -> bool:
        """Somebody is to hear of room that becomes free."""
        return bool(self._rejected or self.promises.waiting)

    def wait(self, caller: Caller, waits: bool) -> None:
        """A caller has said whether calls wait there for room."""
        if waits:
            self.promises.wait(caller)
        else:
            self.promises.forget(caller)

    def forget(self, caller: Caller) -> None:
        """A caller is gone."""
        self.promises.forget(caller)
        self._rejected.discard(caller)

    def hand_out(self, now_s: float) -> list[Caller]:
        """Promise room to those that wait, in turn. Whom to tell: them, and where room is left those once rejected."""
        told = self.promises.hand_out(self.room, now_s)
        if self._rejected and self.has_room:
            told += self._rejected
            self._rejected.clear()
        return told

    @staticmethod
    def too_deep(chain: Sequence[str]) -> bool:
        """The request has come through more replicas than a request may."""
        return len(chain) >= LONGEST_CHAIN
