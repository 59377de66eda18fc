"""How often calls are run again because a replica died with them. Pure.

The first retry of a call is always free. Further ones are paid from what the calls that were answered have brought
in, so that a call which ends every replica that it comes to takes down a few and not all, and retries are never more
than a small part of the load. Calls that were rejected need no budget: they were not begun.
"""

from __future__ import annotations

RETRIES = 10
"""So many at once, beyond the first of each call."""
ANSWERS_PER_RETRY = 10
"""So many batches of answers pay for one more."""


class RetryBudget:
    """A bucket, full at first: a batch of answers puts something in, a retry takes ten times as much out."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers = RETRIES * ANSWERS_PER_RETRY

    def answered(self) -> None:
        """A batch of answers came."""
        if self._answers < RETRIES * ANSWERS_PER_RETRY:
            self._answers += 1

    def allows(self, retries: int) -> bool:
        """Whether a call that was run again ``retries`` times may be run once more; if so, it counts."""
        if retries == 0:
            return True
        if self._answers < ANSWERS_PER_RETRY:
            return False
        self._answers -= ANSWERS_PER_RETRY
        return True
