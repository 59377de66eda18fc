"""The rule: what is called for at which load, and when it is done."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.controller.autoscaling import Trend, called_for, decide


def config(**settings: object) -> AutoscalingConfig:
    return AutoscalingConfig(
        **{"min_replicas": 0, "max_replicas": 8, "target_ongoing_requests": 8.0, **settings}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("settings", "ongoing", "present", "called"),
    [
        pytest.param({}, 0, 3, 0, id="nothing is asked: none"),
        pytest.param({}, 0.01, 1, 1, id="hardly anything is asked: one"),
        pytest.param({}, 42, 3, 6, id="as many as it takes, rounded up"),
        pytest.param({}, 64, 8, 8, id="exactly what the target says"),
        pytest.param({}, 40.5, 5, 5, id="a sixteenth of a replica is not lacking"),
        pytest.param({}, 40, 6, 6, id="five would do, but with nothing to spare"),
        pytest.param({}, 33, 6, 5, id="five do with a fifth to spare"),
        pytest.param({}, 1000, 3, 8, id="no more than the bound"),
        pytest.param({"min_replicas": 2}, 0, 3, 2, id="no fewer than the bound"),
        pytest.param({"upscaling_factor": 0.5}, 64, 2, 5, id="half of the step up"),
        pytest.param({"upscaling_factor": 0.01}, 64, 2, 3, id="a step up is at least one"),
        pytest.param({"upscaling_factor": 2, "max_replicas": 99}, 64, 2, 14, id="twice the step up"),
        pytest.param({"downscaling_factor": 0.5}, 10, 6, 4, id="half of the step down"),
        pytest.param({"downscaling_factor": 0.01}, 16, 6, 5, id="a step down is at least one"),
        pytest.param({"downscaling_factor": 3}, 8, 6, 1, id="no step down takes the last while anything is asked"),
    ],
)
def test_what_is_called_for(settings: dict[str, object], ongoing: float, present: int, called: int) -> None:
    assert called_for(config(**settings), ongoing, present) == called


@dataclass
class World:
    """A deployment, looked at when the decision says so and whenever what is called for changes."""

    config: AutoscalingConfig
    replicas: int
    trend: Trend = field(default_factory=lambda: Trend(0.0))
    history: list[tuple[float, int]] = field(default_factory=list)

    def look(self, called: int, now_s: float) -> float:
        decision = decide(self.config, called, self.replicas, self.trend, now_s)
        self.trend = decision.trend
        if decision.replicas != self.replicas:
            self.history.append((round(now_s, 2), decision.replicas))
        self.replicas = decision.replicas
        assert decision.look_at_s > now_s
        return decision.look_at_s

    def run(self, calls: list[tuple[float, int]], until_s: float) -> list[tuple[float, int]]:
        """``calls`` are moments from which on so many are called for."""
        for (begin_s, called), (end_s, _) in pairwise([*calls, (until_s, 0)]):
            now_s = begin_s
            while now_s < end_s:
                now_s = self.look(called, now_s)
        return self.history


DELAYS = config(upscale_delay_s=3.0, downscale_delay_s=60.0)


def test_more_come_after_the_delay_and_as_many_as_are_called_for_then() -> None:
    assert World(DELAYS, 1).run([(10, 3), (12, 6)], until_s=20) == [(13, 6)]


def test_a_short_peak_starts_nothing() -> None:
    assert World(DELAYS, 1).run([(10, 8), (12, 1), (14, 8), (16.9, 1)], until_s=60) == []


def test_fewer_remain_after_the_delay() -> None:
    assert World(DELAYS, 6).run([(0, 6), (100, 2)], until_s=200) == [(160, 2)]


def test_a_dip_ends_nothing() -> None:
    assert World(DELAYS, 6).run([(0, 6), (100, 1), (159, 6), (160, 1), (200, 6)], until_s=210) == []


def test_what_was_called_for_lately_is_kept() -> None:
    assert World(DELAYS, 6).run([(0, 6), (100, 1), (130, 4), (131, 1)], until_s=300) == [(160, 4), (191, 1)]


def test_nothing_is_ended_before_the_past_is_known() -> None:
    world = World(DELAYS, 6, Trend(known_since_s=50.0))
    assert world.run([(10, 1)], until_s=200) == [(110, 1)]


def test_without_delays_it_follows_at_once() -> None:
    world = World(config(upscale_delay_s=0, downscale_delay_s=0), 1)
    assert world.run([(1, 5), (2, 0), (3, 8)], until_s=4) == [(1, 5), (2, 0), (3, 8)]


def test_where_nothing_changes_nobody_looks() -> None:
    world = World(DELAYS, 2)
    assert world.look(2, 1.0) == inf


@pytest.mark.parametrize("seed", range(50), ids=lambda seed: f"seed-{seed}")
def test_no_size_is_smaller_than_what_was_called_for_during_the_delay(seed: int) -> None:
    rng = random.Random(seed)
    world, now_s, past = World(DELAYS, 0), 0.0, [(0.0, 0)]
    for _ in range(300):
        past.append((now_s, rng.randrange(9)))
        before = world.replicas
        world.look(past[-1][1], now_s)
        if world.replicas < before:
            ends = [*(moment for moment, _ in past[1:]), now_s]
            recent = [called for (_, called), end_s in zip(past, ends, strict=True) if end_s >= now_s - 60.0]
            assert world.replicas == max(recent)
        now_s += rng.expovariate(0.05)
