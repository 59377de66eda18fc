"""How often calls are run again because a replica died with them. Pure.

The first retry of a call is always free. Further ones are paid from what the calls that were answered have brought
in, so that a call which ends every replica that it comes to takes down a few and not all, and retries are never more
than a small part of the load. Calls that were rejected need no budget: they were not begun.
"""

from __future__ import annotations

CAPACITY = 10.0
"""So many retries at once, beyond the first of each call."""
PER_ANSWER = 0.1
"""What a batch of answers brings in: ten allow one retry."""


class RetryBudget:
    """A bucket of tokens, full at first: an answer puts a tenth in, a retry takes one out."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens = CAPACITY

    def answered(self) -> None:
        """A batch of answers came."""
        if self._tokens < CAPACITY:
            self._tokens = min(CAPACITY, self._tokens + PER_ANSWER)

    def allows(self, retries: int) -> bool:
        """Whether a call that was run again ``retries`` times may be run once more; if so, it counts."""
        if retries == 0:
            return True
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
