"""Situations of threads that wait for room in a router."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from mesh.deadline import NEVER
from mesh.router.room import ThreadRoom

LIMIT_S = 30


def test_room_for_as_many_as_the_limit() -> None:
    room = ThreadRoom()
    assert [room.try_enter(2) for _ in range(3)] == [True, True, False]
    room.leave()
    assert room.try_enter(2)


def test_deadline_that_has_passed_gives_no_room() -> None:
    room = ThreadRoom()
    assert room.enter(1, NEVER)
    assert not room.enter(1, 0.0)


def test_thread_goes_on_as_soon_as_another_leaves() -> None:
    room = ThreadRoom()
    assert room.try_enter(1)
    asked = threading.Event()

    def enter() -> bool:
        asked.set()
        return room.enter(1, NEVER)

    with ThreadPoolExecutor(1) as pool:
        entering = pool.submit(enter)
        assert asked.wait(LIMIT_S)
        room.leave()
        assert entering.result(LIMIT_S)


def test_every_thread_comes_in_once() -> None:
    room = ThreadRoom()
    inside, most = 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        assert room.enter(3, NEVER)
        with counting:
            inside += 1
            most = max(most, inside)
        with counting:
            inside -= 1
        room.leave()

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(work) for _ in range(300)]:
            done.result(LIMIT_S)
    assert 1 <= most <= 3
    assert [room.try_enter(3) for _ in range(4)] == [True, True, True, False]
