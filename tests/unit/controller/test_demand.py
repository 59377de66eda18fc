"""Demand over time: exact sums of what processes tell, exact means over any look-back period."""

from __future__ import annotations

import random

import pytest

from mesh.controller.demand import Demand, DemandLog, Reported

KEY = ("shop", "Model")
OTHER = ("shop", "Other")


def told(line: int, ongoing: float, without_replica: int = 0) -> Reported:
    return Reported(line, {KEY: Demand(ongoing, without_replica)})


def test_processes_are_added_up_and_each_counts_once() -> None:
    log = DemandLog(0.0)
    log.take(told(1, 3, 2), 1.0)
    log.take(told(2, 4), 1.0)
    log.take(told(1, 5, 1), 2.0)
    assert (log.ongoing(KEY), log.without_replica(KEY), log.ongoing(OTHER)) == (9, 1, 0)


def test_what_a_dead_process_told_is_gone_with_its_line() -> None:
    log = DemandLog(0.0)
    log.take(told(1, 3, 2), 1.0)
    log.take(told(2, 4), 1.0)
    log.take(Reported(1, {}), 2.0)
    assert (log.ongoing(KEY), log.without_replica(KEY)) == (4, 0)


def test_a_report_is_the_whole_of_it() -> None:
    log = DemandLog(0.0)
    log.take(Reported(1, {KEY: Demand(1), OTHER: Demand(2)}), 1.0)
    log.take(told(1, 1), 2.0)
    assert (log.ongoing(KEY), log.ongoing(OTHER)) == (1, 0)


def test_the_mean_follows_a_step_in_one_look_back_period() -> None:
    log = DemandLog(0.0)
    log.take(told(1, 8), 10.0)
    assert [log.mean(KEY, 4.0, now_s) for now_s in (10.0, 11.0, 12.0, 14.0, 20.0)] == [0, 2, 4, 8, 8]
    assert [log.is_steady(KEY, 4.0, now_s) for now_s in (10.0, 13.9, 14.0)] == [False, False, True]


def test_before_the_log_began_nobody_knows() -> None:
    log = DemandLog(10.0)
    log.take(told(1, 8), 10.0)
    assert log.mean(KEY, 60.0, 10.5) == 8


@pytest.mark.parametrize("seed", range(20), ids=lambda seed: f"seed-{seed}")
def test_the_mean_is_that_of_all_that_was_told(seed: int) -> None:
    rng = random.Random(seed)
    log, steps, now_s, over_s = DemandLog(0.0), [(0.0, 0.0)], 0.0, rng.uniform(0.5, 5)
    for _ in range(300):
        now_s += rng.expovariate(5)
        steps.append((now_s, float(rng.randrange(20))))
        log.take(told(1, steps[-1][1]), now_s)
        look_s = now_s + rng.uniform(0, 0.1)
        now_s = look_s
        begin_s = max(0.0, look_s - over_s)
        ends = [*(moment for moment, _ in steps[1:]), look_s]
        area = sum(
            value * max(0.0, end_s - max(moment, begin_s)) for (moment, value), end_s in zip(steps, ends, strict=True)
        )
        # Points closer together than a 200th of the period are one: so much of the largest number is the error.
        assert log.mean(KEY, over_s, look_s) == pytest.approx(area / (look_s - begin_s), abs=20 / 100)


def test_the_past_is_bounded() -> None:
    log = DemandLog(0.0)
    for number in range(10_000):
        log.take(told(1, number % 7), number * 0.001)
        log.mean(KEY, 1.0, number * 0.001)
    assert len(log._pasts[KEY]._points) <= 202
