"""Calls that no replica has room for yet, in the order in which they were made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from mesh.router.call import Call


class Queue:
    """First come first served, but for calls that re-enter a replica, which come before all others.

    Such a call needs no room where its own request holds a slot already; behind one that waits for this very slot it
    would wait for itself. A call that has ended stays until the next :meth:`drain` or :meth:`expire` comes by.
    """

    def __init__(self) -> None:
        self._first_served: deque[Call] = deque()
        self._reentering: deque[Call] = deque()

    def __len__(self) -> int:
        return len(self._first_served) + len(self._reentering)

    def __iter__(self) -> Iterator[Call]:
        yield from self._reentering
        yield from self._first_served

    def put(self, call: Call, *, reenters: bool) -> None:
        """Have a call wait; one that was routed before and came back goes before those that were made after it."""
        calls = self._reentering if reenters else self._first_served
        if not calls or calls[-1].created_s <= call.created_s:
            calls.append(call)
        else:
            place = next(i for i, other in enumerate(calls) if other.created_s > call.created_s)
            calls.insert(place, call)

    def drain(self, send: Callable[[Call], bool]) -> None:
        """Give calls to ``send`` until it says that there is no room."""
        for calls in (self._reentering, self._first_served):
            while calls:
                if not (calls[0].is_over or send(calls[0])):
                    break
                calls.popleft()

    def trim(self, limit: int, error: Callable[[], Exception]) -> None:
        """End the calls made last until there are no more than ``limit``; those of threads that wait may stay."""
        surplus = len(self) - limit
        for calls in (self._first_served, self._reentering):
            for call in [call for call in reversed(calls) if not call.waits][: max(0, surplus)]:
                calls.remove(call)
                call.end(error())
                surplus -= 1

    def expire(self, now_s: float) -> None:
        """End the calls whose deadline has passed."""
        for calls in (self._reentering, self._first_served):
            for call in [call for call in calls if call.deadline <= now_s]:
                call.expire()
            left = [call for call in calls if not call.is_over]
            calls.clear()
            calls.extend(left)

    def end(self, error: Callable[[], Exception]) -> None:
        """End all calls, each with an error of its own."""
        for calls in (self._reentering, self._first_served):
            while calls:
                calls.popleft().end(error())
