"""Room that is kept for callers that wait, each in turn."""

from __future__ import annotations

from sidecar.admission import Admission
from sidecar.promises import LIFETIME_S, Promises


def _waited_for(*callers: str) -> Promises[str]:
    promises: Promises[str] = Promises()
    for caller in callers:
        promises.wait(caller)
    return promises


def test_room_goes_to_those_that_wait_in_turn() -> None:
    promises = _waited_for("a", "b", "c")
    assert promises.hand_out(2, 0.0) == ["a", "b"]
    promises.wait("a")  # says again that it waits, and keeps its place
    assert promises.hand_out(4, 0.0) == ["c", "a", "b", "c"]
    assert promises.total == 6


def test_without_anybody_who_waits_nothing_is_promised() -> None:
    assert Promises[str]().hand_out(5, 0.0) == []


def test_no_room_is_no_promise() -> None:
    assert _waited_for("a").hand_out(0, 0.0) == []
    assert _waited_for("a").hand_out(-1, 0.0) == []


def test_promise_is_kept_from_others_until_it_is_taken() -> None:
    promises = _waited_for("a")
    promises.hand_out(1, 0.0)
    assert (promises.kept_from("a"), promises.kept_from("b")) == (0, 1)
    assert not promises.take("b")
    assert promises.take("a")
    assert not promises.take("a")
    assert promises.total == 0


def test_caller_that_waits_no_longer_frees_what_it_was_promised() -> None:
    promises = _waited_for("a", "b")
    promises.hand_out(2, 0.0)
    promises.forget("a")
    assert promises.total == 1
    assert promises.hand_out(1, 0.0) == ["b"]


def test_promise_that_nobody_comes_for_lapses_and_its_caller_has_to_say_anew_that_it_waits() -> None:
    promises = _waited_for("a", "b")
    promises.hand_out(1, 0.0)
    promises.hand_out(1, LIFETIME_S / 2)
    promises.lapse(LIFETIME_S)
    assert (promises.kept_from("b"), promises.kept_from("a")) == (0, 1)
    assert promises.hand_out(2, LIFETIME_S) == ["b", "b"]


def test_promised_room_is_refused_to_others_and_given_to_its_caller() -> None:
    admission: Admission[str] = Admission("Model#a", 2)
    assert admission.enter((), "flood")
    admission.promises.wait("modest")
    assert admission.promises.hand_out(admission.room, 0.0) == ["modest"]
    assert not admission.has_room
    assert not admission.enter((), "flood")
    assert admission.enter((), "modest")
    assert not admission.enter((), "modest")


def test_promise_does_not_exceed_the_limit() -> None:
    admission: Admission[str] = Admission("Model#a", 2)
    admission.promises.wait("modest")
    admission.promises.hand_out(admission.room, 0.0)
    admission.limit = 0
    assert not admission.enter((), "modest")


def test_draining_keeps_no_promise() -> None:
    admission: Admission[str] = Admission("Model#a", 2)
    admission.promises.wait("modest")
    admission.promises.hand_out(admission.room, 0.0)
    admission.draining = True
    assert not admission.enter((), "modest")
