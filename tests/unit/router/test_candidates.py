"""Replicas that fail, and how many of them are left alone while replicas come and go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mesh.router.candidate import Candidate
from mesh.router.candidates import Candidates
from mesh.router.ejection import CUTS, ERRORS, FIRST_EJECTION_S, LONGEST_EJECTION_S
from mesh.router.endpoints import Endpoint

NOW_S = 100.0


def _connect(_: Candidate) -> Any:
    end = SimpleNamespace(
        calls={}, ongoing_elsewhere=0, draining=False, failed_in_a_row=0, service_time_us=0, answers_well=False
    )
    return SimpleNamespace(end=end, reported_s=NOW_S, silent_s=lambda _: 0.0)


def _candidates(names: str) -> Candidates:
    candidates = Candidates(_connect, lambda: 0.5)
    _change(candidates, names)
    return candidates


def _change(candidates: Candidates, names: str, now_s: float = NOW_S) -> None:
    candidates.change((Endpoint(name, name) for name in names), now_s)


def _cut(candidates: Candidates, names: str, now_s: float = NOW_S) -> None:
    for name in names:
        for _ in range(CUTS):
            candidates[name].cut(now_s)


def _ejected(candidates: Candidates, now_s: float) -> str:
    return "".join(candidate.endpoint.replica_id for candidate in candidates if candidate.is_ejected(now_s))


@pytest.mark.parametrize(
    ("left", "ejected"),
    [
        pytest.param("abcde", "ab", id="one that was well goes: half of the rest, rounded down, may be out"),
        pytest.param("abde", "ab", id="two of four"),
        pytest.param("abe", "b", id="of three one may be out, and it is the one ejected last"),
        pytest.param("ab", "b", id="all that are left fail"),
        pytest.param("a", "", id="a single one is never ejected"),
        pytest.param("abcdefgh", "ab", id="more come"),
    ],
)
def test_never_more_than_half_are_ejected_when_replicas_go(left: str, ejected: str) -> None:
    candidates = _candidates("abcdef")
    for number, name in enumerate("ab"):
        _cut(candidates, name, NOW_S + number * 0.01)
        candidates.weigh(NOW_S + number * 0.01)
    assert _ejected(candidates, NOW_S + 0.02) == "ab"
    _change(candidates, left, NOW_S + 0.02)
    assert _ejected(candidates, NOW_S + 0.02) == ejected
    candidates.weigh(NOW_S + 0.02)
    assert _ejected(candidates, NOW_S + 0.02) == ejected, "nothing has changed since"


def test_replica_that_is_not_left_alone_any_more_is_asked() -> None:
    candidates = _candidates("ab")
    _cut(candidates, "a")
    candidates.weigh(NOW_S)
    assert not candidates["a"].may_be_asked(NOW_S + FIRST_EJECTION_S * 0.99)
    _change(candidates, "a")
    assert candidates["a"].may_be_asked(NOW_S)


def test_single_replica_that_is_cut_again_and_again_is_not_ejected() -> None:
    candidates = _candidates("ab")
    _cut(candidates, "a")
    candidates.weigh(NOW_S)
    _change(candidates, "a")
    for number in range(20):
        candidates["a"].cut(NOW_S + number)
        candidates.weigh(NOW_S + number)
    assert candidates["a"].may_be_asked(NOW_S + 19 + LONGEST_EJECTION_S / 20), (
        "it waits no longer than a refusal's pause"
    )


def test_answer_of_an_old_call_makes_no_room_for_one_more_ejection() -> None:
    candidates = _candidates("abcd")
    session: Any = candidates["a"].open_session()
    _cut(candidates, "ab")
    candidates.weigh(NOW_S)
    session.end.answers_well, session.end.models = True, frozenset()
    candidates["a"].answered()
    others: Any = candidates["c"].open_session()
    others.end.failed_in_a_row = ERRORS
    candidates.weigh(NOW_S)
    assert _ejected(candidates, NOW_S) == "ab"


def test_single_replica_is_not_compared() -> None:
    """It has no other to be slower than, and a router looks 50 times a second."""
    candidates = _candidates("ab")
    sessions: list[Any] = [candidates[name].open_session() for name in "ab"]
    for session, service_time_us in zip(sessions, (5000, 500_000), strict=True):
        session.end.service_time_us = service_time_us
    candidates.weigh(NOW_S)
    assert candidates["b"].weight > 1
    _change(candidates, "b")
    sessions[1].silent_s = None  # would raise when it is asked
    candidates.weigh(NOW_S)
    assert candidates["b"].weight == 1
    assert candidates.pick(NOW_S, NOW_S) is candidates["b"]
