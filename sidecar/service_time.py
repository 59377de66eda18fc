"""How long the user's code of a replica lately took for a call. Pure.

The mean is geometric: a call that takes a hundred times as long as usual moves it like seven that take twice as long,
so that now and then a long one is no news, and a replica all of whose calls have become longer is known within tens.
"""

from __future__ import annotations

from math import exp, log

CALLS = 32
"""The latest of so many calls, roughly, are what the mean is about."""
FIRST_CALLS = 6
"""Nothing is said before so many have ended: the first ones fill caches, and tell little."""
LIFETIME_S = 1.0
"""When the last call ended so long ago, one that was shorter is believed by itself: there was a recovery."""
PAUSE_S = 0.001
"""More often than this no call is timed: thousands a second tell no more than hundreds, and cost more."""
SHORTEST_S = 1e-6
LONGEST_US = 2**32 - 1
"""What the field of the report can hold: more than an hour."""


class ServiceTime:
    """A running mean over the calls that ended well; each is told to :meth:`note`."""

    __slots__ = ("_calls", "_log", "_noted_s", "next_s", "recent_us")

    def __init__(self) -> None:
        self.recent_us = 0
        """The mean in microseconds, at least 1; 0 while it is not known."""
        self.next_s = 0.0
        """A call that begins before this moment need not be timed."""
        self._calls = 0
        self._log = 0.0
        self._noted_s = 0.0

    def note(self, took_s: float, now_s: float) -> None:
        """A call ended at ``now_s`` for which the user's code took ``took_s`` seconds."""
        self._calls += 1
        difference = log(max(took_s, SHORTEST_S)) - self._log
        weight = 1.0 / min(self._calls, CALLS)
        if difference < 0.0:
            weight = max(weight, min(1.0, (now_s - self._noted_s) / LIFETIME_S))
        self._log += weight * difference
        self._noted_s = now_s
        self.next_s = now_s + PAUSE_S
        if self._calls >= FIRST_CALLS:
            self.recent_us = min(int(exp(self._log) * 1e6) or 1, LONGEST_US)
