"""Situations of one replica in the eyes of one router."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mesh.router.candidate import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, REPORT_LIFETIME_S, Candidate
from mesh.router.ejection import FIRST_EJECTION_S
from mesh.router.endpoints import Endpoint

NOW_S = 100.0


def _session(*, own: int = 0, elsewhere: int = 0, age_s: float = 0.0, draining: bool = False) -> Any:
    end = SimpleNamespace(
        calls=dict.fromkeys(range(1, own + 1)),
        ongoing_elsewhere=elsewhere,
        draining=draining,
        failed_in_a_row=0,
        answers_well=False,
        models=frozenset(),
    )
    return SimpleNamespace(end=end, reported_s=NOW_S - age_s)


def _candidate(session: Any = None) -> Candidate:
    candidate = Candidate(Endpoint("Model#a", "unix:a"), lambda _: _session())
    candidate.session = session
    return candidate


@pytest.mark.parametrize(
    ("session", "length"),
    [
        pytest.param(None, 0, id="without a session nothing is known"),
        pytest.param(_session(own=3), 3, id="own calls are known exactly"),
        pytest.param(_session(own=3, age_s=60), 3, id="own calls do not age"),
        pytest.param(_session(own=1, elsewhere=4), 5, id="a fresh report of others counts in full"),
        pytest.param(_session(own=1, elsewhere=4, age_s=REPORT_LIFETIME_S / 2), 3, id="an older one counts less"),
        pytest.param(_session(own=1, elsewhere=4, age_s=REPORT_LIFETIME_S), 1, id="an old one not at all"),
    ],
)
def test_queue_length(session: Any, length: float) -> None:
    assert _candidate(session).queue_length(NOW_S) == pytest.approx(length)


def test_replica_that_drains_is_not_asked() -> None:
    assert _candidate(_session()).may_be_asked(NOW_S)
    assert not _candidate(_session(draining=True)).may_be_asked(NOW_S)


def test_refusal_keeps_it_alone_for_a_while() -> None:
    candidate = _candidate()
    candidate.refused(NOW_S)
    assert not candidate.may_be_asked(NOW_S + FIRST_BACK_OFF_S * 0.99)
    assert candidate.may_be_asked(NOW_S + FIRST_BACK_OFF_S)


def _back_off_s(candidate: Candidate) -> float:
    """How long it is left alone when it refuses now."""
    candidate.refused(NOW_S)
    low, high = 0.0, LONGEST_BACK_OFF_S * 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if candidate.may_be_asked(NOW_S + middle) else (middle, high)
    return high


def test_every_batch_that_refuses_doubles_the_wait_up_to_a_limit() -> None:
    candidate = _candidate()
    waits = []
    for _ in range(12):
        waits.append(_back_off_s(candidate))
        candidate.answered()  # the batch that brought the refusal
    assert waits[:3] == pytest.approx([FIRST_BACK_OFF_S, 2 * FIRST_BACK_OFF_S, 4 * FIRST_BACK_OFF_S], rel=1e-3)
    assert waits[-1] == pytest.approx(LONGEST_BACK_OFF_S, rel=1e-3)


def test_refusals_of_one_batch_count_once() -> None:
    candidate = _candidate()
    for _ in range(50):
        candidate.refused(NOW_S)
    candidate.answered()
    assert _back_off_s(candidate) == pytest.approx(2 * FIRST_BACK_OFF_S, rel=1e-3)


def test_batch_that_refuses_nothing_ends_the_wait() -> None:
    candidate = _candidate()
    candidate.refused(NOW_S)
    candidate.answered()
    assert not candidate.may_be_asked(NOW_S)
    candidate.answered()
    assert candidate.may_be_asked(NOW_S)
    assert _back_off_s(candidate) == pytest.approx(FIRST_BACK_OFF_S, rel=1e-3)


def test_session_is_opened_once() -> None:
    candidate = _candidate()
    assert candidate.open_session() is candidate.open_session()


# --- one that was ejected


def test_refusal_does_not_shorten_an_ejection() -> None:
    candidate = _candidate()
    candidate.eject(NOW_S)
    candidate.refused(NOW_S)  # a call that was on its way
    assert not candidate.may_be_asked(NOW_S + FIRST_EJECTION_S * 0.99)
    assert candidate.may_be_asked(NOW_S + FIRST_EJECTION_S)


def test_calls_from_before_the_ejection_do_not_keep_it_out() -> None:
    """A WebSocket may live for hours."""
    session = _session(own=2)
    candidate = _candidate(session)
    candidate.eject(NOW_S)
    after_s = NOW_S + FIRST_EJECTION_S
    assert candidate.may_be_asked(after_s)
    session.end.calls[3] = None
    assert not candidate.may_be_asked(after_s), "one call at a time, until one is answered well"
    del session.end.calls[3]
    assert candidate.may_be_asked(after_s)


def test_calls_of_a_new_session_are_all_from_after_the_ejection() -> None:
    candidate = _candidate(_session(own=5))
    candidate.eject(NOW_S)
    candidate.session = None
    candidate.open_session().end.calls[1] = None  # type: ignore[assignment]
    assert not candidate.may_be_asked(NOW_S + FIRST_EJECTION_S)


def test_call_that_raises_in_a_new_session_is_a_failure_like_any_other() -> None:
    """The session was idle for long and closed; the count of its calls that raised begins anew."""
    old = _session()
    old.end.failed_in_a_row = 10
    candidate = _candidate(old)
    candidate.eject(NOW_S)
    candidate.session = None
    session: Any = candidate.open_session()
    session.end.failed_in_a_row = 1
    session.reported_s = after_s = NOW_S + FIRST_EJECTION_S
    candidate.answered()
    assert not candidate.may_be_asked(after_s + 2 * FIRST_EJECTION_S * 0.99), "it was ejected once more"
    assert candidate.may_be_asked(after_s + 2 * FIRST_EJECTION_S)


def test_answer_of_an_old_call_does_not_hide_an_ejection() -> None:
    """It is left alone all the same, so it counts among those of which there are never more than half."""
    session = _session(own=1)
    candidate = _candidate(session)
    candidate.eject(NOW_S)
    session.end.answers_well = True
    candidate.answered()
    assert candidate.standing(NOW_S).is_ejected
    assert not candidate.standing(NOW_S + FIRST_EJECTION_S).is_ejected
