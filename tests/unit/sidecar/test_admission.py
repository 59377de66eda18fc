"""Situations of a replica that is asked to take a call."""

from __future__ import annotations

import pytest

from mesh.context import LONGEST_CHAIN
from sidecar.admission import Admission

HERE = "Model#a"
CALLER = "caller"


def _admission(*, limit: int = 2, ongoing: int = 0, draining: bool = False) -> Admission[str]:
    admission: Admission[str] = Admission(HERE, limit)
    for _ in range(ongoing):
        assert admission.enter((), CALLER)
    admission.draining = draining
    return admission


@pytest.mark.parametrize(
    ("ongoing", "draining", "chain", "taken"),
    [
        pytest.param(0, False, (), True, id="idle: taken"),
        pytest.param(1, False, (), True, id="below the limit: taken"),
        pytest.param(2, False, (), False, id="at the limit: rejected"),
        pytest.param(2, False, ("Other#a",), False, id="at the limit, from another deployment: rejected"),
        pytest.param(2, False, ("Model#b",), False, id="at the limit, from another replica: rejected"),
        pytest.param(2, False, ("Other#a", HERE), True, id="at the limit, of a request with a slot here: taken"),
        pytest.param(0, True, (), False, id="draining: rejected"),
        pytest.param(1, True, (HERE, "Other#a"), True, id="draining, of a request with a slot here: taken"),
    ],
)
def test_enter(ongoing: int, draining: bool, chain: tuple[str, ...], taken: bool) -> None:
    admission = _admission(ongoing=ongoing, draining=draining)
    assert admission.enter(chain, CALLER) is taken
    assert admission.ongoing == ongoing + taken


def test_place_that_is_left_is_free_again() -> None:
    admission = _admission(ongoing=2)
    admission.leave()
    assert admission.has_room
    assert admission.enter((), CALLER)
    assert not admission.has_room


def test_those_let_in_beyond_the_limit_leave_before_others_come_in() -> None:
    admission = _admission(ongoing=2)
    assert admission.enter((HERE,), CALLER)
    admission.leave()
    assert not admission.enter((), CALLER)
    admission.leave()
    assert admission.enter((), CALLER)


def test_lower_limit_holds_for_those_to_come() -> None:
    admission = _admission(ongoing=2)
    admission.limit = 1
    admission.leave()
    assert not admission.enter((), CALLER)
    admission.leave()
    assert admission.enter((), CALLER)


def test_rejected_calls_are_not_counted() -> None:
    admission = _admission(ongoing=2)
    for _ in range(3):
        admission.enter((), CALLER)
    assert (admission.ongoing, admission.most_ongoing) == (2, 2)


def test_no_room_while_draining() -> None:
    assert _admission().has_room
    assert not _admission(draining=True).has_room


def test_more_leaving_than_entering_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="had not entered"):
        _admission().leave()


def test_a_request_goes_through_sixteen_replicas_at_most() -> None:
    assert not Admission.too_deep((HERE,) * (LONGEST_CHAIN - 1))
    assert Admission.too_deep((HERE,) * LONGEST_CHAIN)
