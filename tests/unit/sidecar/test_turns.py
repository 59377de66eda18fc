"""Situations of jobs that take turns. The threads are real; every step waits for the event that it needs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sidecar.turns import Turns

LIMIT_S = 30


class Job:
    """A job in steps: it says when it runs and goes on when it is told."""

    def __init__(self, turns: Turns, *, gives_away: bool = False) -> None:
        self.runs = threading.Event()
        self.waits = threading.Event()
        self.is_back = threading.Event()
        self.ended = threading.Event()
        self.thread = ""
        self._turns = turns
        self._gives_away = gives_away
        self._wait_over = threading.Event()
        self._go_on = threading.Event()
        turns.submit(self._run)

    def _run(self) -> None:
        self.thread = threading.current_thread().name
        self.runs.set()
        if self._gives_away:
            with self._turns.given_away():
                self.waits.set()
                assert self._wait_over.wait(LIMIT_S)
            self.is_back.set()
        assert self._go_on.wait(LIMIT_S)
        self.ended.set()

    def end_wait(self) -> None:
        """What it waits for without the turn is there."""
        self._wait_over.set()

    def end(self) -> None:
        """It has done its work."""
        self._wait_over.set()
        self._go_on.set()
        assert self.ended.wait(LIMIT_S)


def _turns(count: int = 1, overflow: int = 8) -> Turns:
    return Turns("Model#a", count, overflow)


def _runs(job: Job) -> bool:
    return job.runs.wait(LIMIT_S)


def _all_done(turns: Turns) -> None:
    """Wait until everything that was submitted before has run."""
    done = threading.Event()
    turns.submit(done.set)
    assert done.wait(LIMIT_S)


def test_jobs_run_in_their_order() -> None:
    turns = _turns()
    order: list[int] = []
    for number in range(200):
        turns.submit(lambda n=number: order.append(n))  # type: ignore[misc]
    _all_done(turns)
    assert order == list(range(200))


def test_one_runs_at_a_time() -> None:
    turns = _turns()
    first, second = Job(turns), Job(turns)
    assert _runs(first)
    assert not second.runs.is_set()
    first.end()
    assert _runs(second)
    second.end()


def test_same_thread_runs_all_while_nobody_waits() -> None:
    turns = _turns()
    threads: set[int] = set()
    for _ in range(50):
        turns.submit(lambda: threads.add(threading.get_ident()))
        _all_done(turns)
    assert len(threads) == 1


def test_while_one_waits_another_has_the_turn() -> None:
    turns = _turns()
    waiting, other = Job(turns, gives_away=True), Job(turns)
    assert waiting.waits.wait(LIMIT_S)
    assert _runs(other)
    assert other.thread != waiting.thread
    other.end()
    waiting.end()


def test_whoever_comes_back_waits_until_the_turn_is_free() -> None:
    turns = _turns()
    waiting, other = Job(turns, gives_away=True), Job(turns)
    assert _runs(other)
    waiting.end_wait()
    _returns(turns, 1)
    assert not waiting.is_back.is_set()
    other.end()
    assert waiting.is_back.wait(LIMIT_S)
    waiting.end()


def test_whoever_comes_back_is_before_new_jobs() -> None:
    turns = _turns()
    waiting, other, new = Job(turns, gives_away=True), Job(turns), Job(turns)
    assert _runs(other)
    waiting.end_wait()
    _returns(turns, 1)
    other.end()
    assert waiting.is_back.wait(LIMIT_S)
    assert not new.runs.is_set()
    waiting.end()
    assert _runs(new)
    new.end()


def test_those_who_come_back_do_so_in_their_order() -> None:
    turns = _turns()
    first, second, other = Job(turns, gives_away=True), Job(turns, gives_away=True), Job(turns)
    assert _runs(other)
    second.end_wait()
    _returns(turns, 1)
    first.end_wait()
    _returns(turns, 2)
    other.end()
    assert second.is_back.wait(LIMIT_S)
    assert not first.is_back.is_set()
    second.end()
    assert first.is_back.wait(LIMIT_S)
    first.end()


def test_first_thread_is_the_usual_one_again_after_others_have_helped() -> None:
    """What the user's object is bound to is the thread that it was built on."""
    turns = _turns()
    usual = Job(turns)
    usual.end()
    jobs = [Job(turns, gives_away=True) for _ in range(4)]
    for job in jobs:
        assert job.waits.wait(LIMIT_S)
    for job in jobs:
        job.end()
    _all_done(turns)
    later = Job(turns)
    assert _runs(later)
    later.end()
    assert later.thread == usual.thread


def test_threads_are_bounded_and_the_rest_waits() -> None:
    turns = _turns(overflow=2)
    waiting = [Job(turns, gives_away=True) for _ in range(3)]
    for job in waiting:
        assert job.waits.wait(LIMIT_S)
    new = Job(turns)
    assert not new.runs.is_set()
    assert len({job.thread for job in waiting}) == 3
    waiting[1].end()
    assert _runs(new)
    assert new.thread == waiting[1].thread
    new.end()
    for job in (waiting[0], waiting[2]):
        job.end()


def test_wait_that_fails_has_the_turn_back_too() -> None:
    turns = _turns()
    seen: list[str] = []

    def wait_and_fail() -> None:
        try:
            with turns.given_away():
                raise LookupError
        except LookupError:
            seen.append("back")

    turns.submit(wait_and_fail)
    _all_done(turns)
    assert seen == ["back"]
    first, second = Job(turns), Job(turns)
    assert _runs(first)
    assert not second.runs.is_set(), "there is still one turn only"
    first.end()
    second.end()


def test_several_turns_run_as_many_jobs() -> None:
    turns = _turns(count=2)
    jobs = [Job(turns) for _ in range(3)]
    assert _runs(jobs[0])
    assert _runs(jobs[1])
    assert not jobs[2].runs.is_set()
    jobs[0].end()
    assert _runs(jobs[2])
    jobs[1].end()
    jobs[2].end()


def test_more_turns_start_what_waits() -> None:
    turns = _turns()
    jobs = [Job(turns) for _ in range(3)]
    assert _runs(jobs[0])
    turns.resize(3, 8)
    assert _runs(jobs[1])
    assert _runs(jobs[2])
    for job in jobs:
        job.end()


def test_fewer_turns_hold_as_soon_as_jobs_end() -> None:
    turns = _turns(count=2)
    jobs = [Job(turns) for _ in range(4)]
    assert _runs(jobs[0])
    assert _runs(jobs[1])
    turns.resize(1, 8)
    jobs[0].end()
    assert not jobs[2].runs.is_set()
    jobs[1].end()
    assert _runs(jobs[2])
    assert not jobs[3].runs.is_set()
    jobs[2].end()
    jobs[3].end()


def test_more_threads_let_in_what_found_none() -> None:
    turns = _turns(overflow=0)
    waiting = Job(turns, gives_away=True)
    assert waiting.waits.wait(LIMIT_S)
    new = Job(turns)
    assert not new.runs.is_set()
    turns.resize(1, 1)
    assert _runs(new)
    new.end()
    waiting.end()


@pytest.mark.parametrize("depth", [1, 5, 16])
def test_jobs_that_wait_for_jobs_of_the_same_turn_end(depth: int) -> None:
    """A method that calls its own deployment and waits, so many levels deep."""
    turns = _turns(overflow=16)
    done = threading.Event()

    def level(left: int, tell: Callable[[], object]) -> None:
        if left:
            below = threading.Event()
            turns.submit(lambda: level(left - 1, below.set))
            with turns.given_away():
                assert below.wait(LIMIT_S)
        tell()

    turns.submit(lambda: level(depth, done.set))
    assert done.wait(LIMIT_S)


def test_after_close_nothing_new_starts() -> None:
    turns = _turns()
    running, never = Job(turns), Job(turns)
    assert _runs(running)
    turns.close()
    running.end()
    turns.submit(never._run)
    assert not never.runs.is_set()


def _returns(turns: Turns, count: int) -> None:
    """Wait until so many jobs want their turn back."""
    pause = threading.Event()
    while len(turns._returning) < count:
        pause.wait(0.001)
