"""A row makes of its rounds what its table says."""

from __future__ import annotations

import json

import pytest

from benchmarks.row import (
    Measured,
    Round,
    Row,
    Spread,
    Target,
    at_most,
    more_at_most,
    rows,
    rows_not_run,
    times_at_least,
    times_at_most,
)


def row_of(*pairs: tuple[float, float | None], target: Target | None = None) -> Row:
    rounds = [
        Round(Measured({"calls/s": mine}, 10.0), None if theirs is None else Measured({"calls/s": theirs}, 40.0))
        for mine, theirs in pairs
    ]
    return Row("handle_calls", "one", "calls/s", tuple(rounds), target)


def test_figures_are_medians_over_the_rounds() -> None:
    row = row_of((30, 10), (10, 10), (20, 1))
    assert row.mesh == Spread(20, 10, 30)
    assert row.baseline == Spread(10, 1, 10)
    assert row.cpu_us == Spread(10, 10, 10)
    assert row.baseline_cpu_us == Spread(40, 40, 40)


def test_ratio_is_taken_within_each_round_because_the_machine_drifts() -> None:
    # the machine was ten times slower in the last round, and mesh was three times the baseline all the time
    assert row_of((30, 10), (33, 11), (3, 1)).ratio == Spread(3, 3, 3)


def test_row_without_baseline_has_no_ratio() -> None:
    row = row_of((30, None), (10, None))
    assert (row.baseline, row.ratio, row.difference, row.baseline_cpu_us) == (None, None, None, None)
    assert row.mesh == Spread(20, 10, 30)


@pytest.mark.parametrize(
    ("target", "mine", "theirs", "is_reached"),
    [
        pytest.param(times_at_least(8), 80, 10, True, id="as many times as wanted"),
        pytest.param(times_at_least(8), 79, 10, False, id="not as many times as wanted"),
        pytest.param(times_at_most(0.6), 6, 10, True, id="a part as small as wanted"),
        pytest.param(times_at_most(0.6), 7, 10, False, id="a part larger than wanted"),
        pytest.param(more_at_most(0.5), 10.5, 10, True, id="as little more as wanted"),
        pytest.param(more_at_most(0.5), 10.75, 10, False, id="more than wanted"),
        pytest.param(at_most(10), 10, 1, True, id="within the limit, whatever the baseline"),
        pytest.param(at_most(10), 11, 100, False, id="beyond the limit, whatever the baseline"),
    ],
)
def test_target(target: Target, mine: float, theirs: float, is_reached: bool) -> None:
    assert row_of((mine, theirs), target=target).is_reached is is_reached


def test_without_target_or_without_figures_nothing_is_judged() -> None:
    assert row_of((1, 1)).is_reached is None
    assert row_of((1, None), target=times_at_least(2)).is_reached is None
    [not_run] = rows_not_run("http_requests", "no-op", "wrk is missing", {"p50 ms": at_most(1)})
    assert (not_run.is_reached, not_run.mesh, not_run.not_run) == (None, None, "wrk is missing")


def test_one_comparison_gives_a_row_for_each_unit() -> None:
    rounds = (Round(Measured({"calls/s": 5.0, "p50 us": 2.0, "p99 us": 9.0})),)
    both = list(rows("handle_calls", "one", rounds, {"calls/s": None, "p50 us": at_most(3)}))
    assert [(row.unit, row.mesh, row.is_reached) for row in both] == [
        ("calls/s", Spread(5, 5, 5), None),
        ("p50 us", Spread(2, 2, 2), True),
    ]


@pytest.mark.parametrize(
    "row",
    [
        row_of((30, 10), (20, 10), target=times_at_least(2)),
        row_of((30, None)),
        Row("http_requests", "no-op", "p50 ms", (), more_at_most(0.3), "wrk is missing"),
    ],
    ids=["with baseline", "without baseline", "not run"],
)
def test_row_survives_json(row: Row) -> None:
    assert Row.from_json(json.loads(json.dumps(row.to_json()))) == row
