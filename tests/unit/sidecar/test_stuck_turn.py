"""When a turn counts as stuck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mesh.config import DeploymentConfig
from sidecar.stuck_turn import StuckTurn

TIMEOUT_S = 30.0


@dataclass
class Call:
    """A call of a plain method, as far as it is looked at."""

    is_in_vain: bool
    method_name: str = "work"


class Watched:
    """The stuck turn of a replica with these calls; ``told`` are the counts that it told."""

    def __init__(self, *calls: Call, threads: int = 1) -> None:
        self.calls: list[Any] = list(calls)
        self.stuck = StuckTurn(lambda: self.calls, DeploymentConfig(threads=threads, health_check_timeout_s=TIMEOUT_S))
        self.told: list[int] = []

    def look(self, *moments_s: float) -> None:
        for now_s in moments_s:
            self.stuck.look(now_s, lambda: self.told.append(self.stuck.failed_in_a_row))


def test_a_call_that_somebody_waits_for_may_take_for_ever() -> None:
    watched = Watched(Call(is_in_vain=False))
    watched.look(0, 1000, 2000)
    assert watched.told == []


def test_one_that_nobody_waits_for_fails_once_for_every_timeout() -> None:
    watched = Watched(Call(is_in_vain=True))
    watched.look(0, 10, 29.9, 30, 31, 60, 90)
    assert watched.told == [1, 2, 3]
    assert watched.stuck.failure == "work: still running 90.0 s after the caller has given up, and nothing else can"


def test_it_is_well_again_when_the_call_has_ended() -> None:
    watched = Watched(Call(is_in_vain=True))
    watched.look(0, 30)
    watched.calls = []
    watched.look(31, 100)
    assert (watched.told, watched.stuck.failure) == ([1, 0], "")


def test_another_call_that_is_stuck_has_the_whole_time_again() -> None:
    watched = Watched(Call(is_in_vain=True, method_name="one"))
    watched.look(0, 29)
    watched.calls = [Call(is_in_vain=True, method_name="other")]
    watched.look(30, 58)
    assert watched.told == []


def test_nothing_is_stuck_while_one_of_several_turns_is_free() -> None:
    watched = Watched(Call(is_in_vain=True), threads=2)
    watched.look(0, 100)
    assert watched.told == []
