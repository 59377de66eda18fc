"""How long the user's code of a replica lately took."""

from __future__ import annotations

import pytest

from sidecar.service_time import FIRST_CALLS, LIFETIME_S, LONGEST_US, ServiceTime


def _after(*times_s: float, apart_s: float = 0.005) -> ServiceTime:
    """What is known after calls that took so long, one after the other."""
    service_time, now_s = ServiceTime(), 100.0
    for took_s in times_s:
        now_s += apart_s
        service_time.note(took_s, now_s)
    return service_time


def test_nothing_is_said_before_a_few_calls_have_ended() -> None:
    assert _after().recent_us == 0
    assert _after(*[0.005] * (FIRST_CALLS - 1)).recent_us == 0
    assert _after(*[0.005] * FIRST_CALLS).recent_us == pytest.approx(5000, rel=0.01)


def test_one_long_call_is_no_news() -> None:
    assert _after(*[0.005] * 100, 0.5).recent_us < 6000


def test_replica_that_has_become_slow_is_known_within_tens_of_calls() -> None:
    assert _after(*[0.005] * 100, *[0.2] * 20).recent_us > 3 * 5000
    assert _after(*[0.005] * 100, *[0.2] * 100).recent_us > 150_000


def test_recovery_is_known_within_tens_of_calls_or_a_few_after_a_pause() -> None:
    assert _after(*[0.2] * 100, *[0.005] * 100).recent_us < 7000
    assert _after(*[0.2] * 100, 0.005, apart_s=LIFETIME_S).recent_us == pytest.approx(5000, rel=0.01)


def test_long_call_after_a_pause_is_no_more_than_one_call() -> None:
    assert _after(*[0.005] * 100, 0.5, apart_s=LIFETIME_S).recent_us < 6000


def test_first_call_that_loads_something_is_outweighed_by_those_after_it() -> None:
    assert _after(30.0, *[0.005] * 15).recent_us < 2 * 5000


@pytest.mark.parametrize("took_s", [0.0, 1e-9])
def test_no_time_at_all_is_a_microsecond(took_s: float) -> None:
    assert _after(*[took_s] * 10).recent_us == 1


def test_calls_of_many_hours_still_fit_into_the_report() -> None:
    assert _after(*[1e6] * 10).recent_us == LONGEST_US
