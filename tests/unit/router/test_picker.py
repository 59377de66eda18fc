"""Situations of the pick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import cycle
from random import Random

import pytest

from mesh.router.picker import is_worth_waiting, pick


def _drawing(*numbers: float) -> Callable[[], float]:
    """A random source that gives these numbers in turn."""
    turning = cycle(numbers)
    return lambda: next(turning)


def _pick(costs: Iterable[tuple[float, float] | None], *numbers: float) -> int | None:
    """Which of several candidates is picked, when they cost this much."""
    table = list(costs)
    return pick(range(len(table)), lambda i: table[i], _drawing(*numbers or (0.0,)))


@pytest.mark.parametrize(
    ("costs", "picked"),
    [
        pytest.param([], None, id="nobody there: nobody is picked"),
        pytest.param([(3, 0)], 0, id="one replica with room gets everything"),
        pytest.param([None], None, id="one replica without room gets nothing"),
        pytest.param([(3, 0), (2, 9)], 1, id="of two the shorter queue, however lately it was picked"),
        pytest.param([(2, 5), (2, 4)], 1, id="of two equals the one picked longest ago"),
        pytest.param([None, (9, 9)], 1, id="the only one with room, however long its queue"),
        pytest.param([None, None, None], None, id="none of three has room"),
        pytest.param([None, None, (9, 9), None], 2, id="the two drawn have no room: the others are asked too"),
    ],
)
def test_pick(costs: list[tuple[float, float] | None], picked: int | None) -> None:
    assert _pick(costs) == picked


def test_of_many_only_the_two_that_were_drawn_are_compared() -> None:
    costs = [(5, 0), (0, 0), (4, 0), (0, 0)]
    assert _pick(costs, 0.0, 0.34) == 2  # draws 0 and 2


@pytest.mark.parametrize("count", [3, 4, 7])
def test_the_two_drawn_are_never_the_same(count: int) -> None:
    for first in range(count):
        for second in range(count - 1):
            asked: list[int] = []
            numbers = ((first + 0.5) / count, (second + 0.5) / (count - 1))
            pick(range(count), lambda i, asked=asked: asked.append(i) or (0, 0), _drawing(*numbers))  # type: ignore[func-returns-value,misc]
            assert len(set(asked)) == 2


def test_random_source_that_gives_its_highest_number_draws_nobody_from_outside() -> None:
    assert _pick([(1, 0)] * 5, 0.9999999999999999) in range(5)


@pytest.mark.parametrize("count", [3, 5, 16])
def test_equals_are_picked_equally_often(count: int) -> None:
    random = Random(count)
    drawn = Counter(pick(range(count), lambda _: (0, random.random()), random.random) for _ in range(2000 * count))
    assert set(drawn) == set(range(count))
    assert max(drawn.values()) < 1.15 * min(drawn.values())


@pytest.mark.parametrize("count", [1, 2])
def test_up_to_two_take_turns_exactly(count: int) -> None:
    last_picked = [0] * count
    order = []
    for number in range(1, 7):
        picked = pick(range(count), lambda i: (0, last_picked[i]), Random(0).random)
        assert picked is not None
        last_picked[picked] = number
        order.append(picked)
    assert order == [i % count for i in range(6)]


def test_the_longest_queue_stays_short() -> None:
    """The promise of two choices: with as many calls as replicas the longest queue is a handful."""
    random = Random(7)
    queues = [0] * 200
    for _ in range(200):
        picked = pick(range(200), lambda i: (queues[i], 0), random.random)
        assert picked is not None
        queues[picked] += 1
    assert max(queues) <= 4


@pytest.mark.parametrize(
    ("price", "without_room", "waited", "waits"),
    [
        pytest.param(40, [6, 6, 6], 0, True, id="the others have no room now, and will be faster all the same"),
        pytest.param(40, [101], 0, False, id="the others have so much to do that the slow one is faster"),
        pytest.param(40, [6], 40, False, id="it has waited as long as the slow one takes"),
        pytest.param(40, [6], 39, True, id="it has waited nearly as long"),
        pytest.param(40, [], 0, False, id="there is nobody else"),
    ],
)
def test_is_worth_waiting(price: float, without_room: list[float], waited: float, waits: bool) -> None:
    assert is_worth_waiting(price, without_room, waited) is waits
