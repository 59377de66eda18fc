"""How often calls are run again because a replica died with them. Pure.

The first retry of a call is always free. Further ones are paid for by the calls that were sent, ten for one, so that a
call which ends every replica that it comes to takes down a few and not all, and retries are never more than a small
part of the load. Calls that were rejected need no budget: they were not begun.
"""

from __future__ import annotations

RETRIES = 10
"""So many at once, beyond the first of each call."""
CALLS_PER_RETRY = 10
"""So many calls that were sent pay for one more."""


class RetryBudget:
    """A bucket, full at first: a call that is sent puts something in, a retry takes ten times as much out."""

    __slots__ = ("_left", "_sent")

    def __init__(self) -> None:
        self._left = RETRIES * CALLS_PER_RETRY
        self._sent = 0

    def allows(self, retries: int, sent: int) -> bool:
        """Whether a call that was run again ``retries`` times may be run once more; if so, it counts.

        ``sent`` calls have been sent so far, each attempt counting as one.
        """
        if retries == 0:
            return True
        self._left = min(self._left + sent - self._sent, RETRIES * CALLS_PER_RETRY)
        self._sent = sent
        if self._left < CALLS_PER_RETRY:
            return False
        self._left -= CALLS_PER_RETRY
        return True
