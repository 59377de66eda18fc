"""Situations of the calls that wait for room."""

from __future__ import annotations

from typing import Any

import pytest

from mesh import errors
from mesh.router.queue import Queue


class _Call:
    """What the queue looks at in a call."""

    def __init__(self, created_s: float, deadline: float = float("inf")) -> None:
        self.created_s = created_s
        self.deadline = deadline
        self.is_over = False
        self.waits = False
        self.ended_by: BaseException | None = None

    def end(self, error: BaseException) -> None:
        self.is_over, self.ended_by = True, error

    def expire(self) -> None:
        self.end(errors.DeadlineExceeded())


def _queue(*calls: Any, reentering: tuple[Any, ...] = ()) -> Queue:
    queue = Queue()
    for call in calls:
        queue.put(call, reenters=False)
    for call in reentering:
        queue.put(call, reenters=True)
    return queue


def _drained(queue: Queue, room: int = 100) -> list[Any]:
    """The calls that are sent when there is room for so many."""
    sent: list[Any] = []

    def send(call: Any) -> bool:
        if len(sent) == room:
            return False
        sent.append(call)
        return True

    queue.drain(send)
    return sent


def test_first_come_first_served() -> None:
    calls = [_Call(created_s) for created_s in range(5)]
    assert _drained(_queue(*calls)) == calls


def test_what_found_no_room_stays_in_its_place() -> None:
    calls = [_Call(created_s) for created_s in range(5)]
    queue = _queue(*calls)
    assert _drained(queue, room=2) == calls[:2]
    assert len(queue) == 3
    assert _drained(queue) == calls[2:]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_calls_that_come_back_go_before_all_that_were_made_after_them(order: tuple[int, ...]) -> None:
    calls = [_Call(created_s) for created_s in range(6)]
    queue = _queue(calls[4], calls[5])
    for number in order:
        queue.put(calls[number], reenters=False)  # type: ignore[arg-type]
    assert _drained(queue) == calls[1:]


def test_call_that_re_enters_goes_before_those_that_wait_for_room() -> None:
    waiting, back = _Call(1), _Call(2)
    assert _drained(_queue(waiting, reentering=(back,))) == [back, waiting]


def test_call_that_re_enters_and_has_no_way_in_does_not_hold_up_the_others() -> None:
    waiting, back = _Call(1), _Call(2)
    sent: list[Any] = []

    def send(call: Any) -> bool:
        if call is back:
            return False
        sent.append(call)
        return True

    queue = _queue(waiting, reentering=(back,))
    queue.drain(send)
    assert sent == [waiting]
    assert list(queue) == [back]


def test_call_that_has_ended_is_not_sent() -> None:
    calls = [_Call(1), _Call(2)]
    queue = _queue(*calls)
    calls[0].is_over = True
    assert _drained(queue) == [calls[1]]


def test_deadline_that_passes_in_the_queue_ends_the_call_and_frees_its_place() -> None:
    late, early = _Call(1, deadline=5.0), _Call(2, deadline=9.0)
    queue = _queue(late, early)
    queue.expire(5.0)
    assert isinstance(late.ended_by, errors.DeadlineExceeded)
    assert list(queue) == [early]


def test_each_call_that_is_ended_gets_an_error_of_its_own() -> None:
    calls = [_Call(1), _Call(2)]
    queue = _queue(calls[0], reentering=(calls[1],))
    queue.end(lambda: errors.DeploymentNotFound("gone"))
    assert [str(call.ended_by) for call in calls] == ["gone", "gone"]
    assert calls[0].ended_by is not calls[1].ended_by
    assert not queue


def test_trimming_ends_the_calls_that_were_made_last() -> None:
    calls = [_Call(float(number)) for number in range(5)]
    queue = _queue(*calls)
    queue.trim(2, errors.RequestRejected)
    assert [call.is_over for call in calls] == [False, False, True, True, True]
    assert isinstance(calls[4].ended_by, errors.RequestRejected)
    assert len(queue) == 2


def test_trimming_leaves_calls_for_which_a_thread_waits() -> None:
    calls = [_Call(float(number)) for number in range(3)]
    calls[2].waits = True
    _queue(*calls).trim(1, errors.RequestRejected)
    assert [call.is_over for call in calls] == [True, True, False]
