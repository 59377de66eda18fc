"""Which of several replicas gets a request: the power of two choices.

Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001): asking two at random and taking the less
loaded keeps the longest queue at O(log log n), without asking all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Cost = tuple[float, float]
"""(Queue length + 1) x weight, then when it was last picked: of equals the one picked longest ago wins."""


def pick(candidates: Sequence[T], cost: Callable[[T], Cost | None], random: Callable[[], float]) -> T | None:
    """The cheaper of two candidates drawn by ``random`` (uniform in [0, 1)); None when no candidate has room.

    ``cost`` is None for a candidate without room. With fewer than three candidates, or when neither of the two drawn
    has room, all are compared.
    """
    count = len(candidates)
    if count == 1:
        return candidates[0] if cost(candidates[0]) is not None else None
    if count > 2:
        first = int(random() * count)
        second = (first + 1 + int(random() * (count - 1))) % count
        drawn = cheapest((candidates[first], candidates[second]), cost)
        if drawn is not None:
            return drawn
    return cheapest(candidates, cost)


def cheapest(candidates: Iterable[T], cost: Callable[[T], Cost | None]) -> T | None:
    """The cheapest of all candidates; None when no candidate has room."""
    best: T | None = None
    lowest: Cost | None = None
    for candidate in candidates:
        price = cost(candidate)
        if price is not None and (lowest is None or price < lowest):
            best, lowest = candidate, price
    return best


def is_worth_waiting(price: float, without_room: Collection[float], waited: float) -> bool:
    """Whether a call does better to wait for a replica without room than to take a slow one that has some.

    All in units of the usual service time: what the slow one costs, what each one without room would cost if it took
    one more, and how long the call has waited. It waits no longer than it would take at the slow one, so that a wrong
    expectation costs no more than a factor of two.
    """
    return bool(without_room) and waited < price and min(without_room) < price
