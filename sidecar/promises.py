"""Room in a replica that has become free, kept for a moment for one of the callers that wait, each in turn. Pure.

Without it the caller that has most calls under way would learn first, and most often, that one of them has ended, and
would fill the place before anybody else knew of it.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Caller = TypeVar("Caller")

LIFETIME_S = 0.05
"""A promise that nobody has come for after this long is given up."""


class Promises(Generic[Caller]):
    """Who waits for room, and who was promised some. ``total`` is all room that is kept."""

    def __init__(self) -> None:
        self.total = 0
        self.waiting: dict[Caller, None] = {}
        """Those that wait, the next one first."""
        self._made: dict[Caller, deque[float]] = {}  # when, the oldest first

    def wait(self, caller: Caller) -> None:
        """It waits for room, and keeps its place if it did before."""
        self.waiting.setdefault(caller)

    def forget(self, caller: Caller) -> None:
        """It waits no longer, or is gone; what it was promised is free."""
        self.waiting.pop(caller, None)
        self.total -= len(self._made.pop(caller, ()))

    def hand_out(self, room: int, now_s: float) -> list[Caller]:
        """Promise so many places to those that wait, in turn; who was promised any."""
        chosen: list[Caller] = []
        while room > 0 and self.waiting:
            caller = next(iter(self.waiting))
            del self.waiting[caller]
            self.waiting[caller] = None  # at the end
            self._made.setdefault(caller, deque()).append(now_s)
            self.total += 1
            room -= 1
            chosen.append(caller)
        return chosen

    def take(self, caller: Caller) -> bool:
        """It comes for a place; False when it was promised none."""
        if (made := self._made.get(caller)) is None:
            return False
        made.popleft()
        self._taken(caller, made)
        return True

    def kept_from(self, caller: Caller) -> int:
        """Room that is promised to others."""
        return self.total - len(self._made.get(caller, ()))

    @property
    def oldest_s(self) -> float:
        """When the oldest promise was made that nobody has come for; there must be one."""
        return min(made[0] for made in self._made.values())

    def lapse(self, now_s: float) -> None:
        """Give up what nobody has come for; who did not come has to say anew that it waits."""
        for caller, made in list(self._made.items()):
            while made and now_s - made[0] >= LIFETIME_S:
                made.popleft()
                self.waiting.pop(caller, None)
                self._taken(caller, made)

    def _taken(self, caller: Caller, left: deque[float]) -> None:
        self.total -= 1
        if not left:
            self._made.pop(caller, None)
