"""Situations of crossing between loops and threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mesh.loops import Crossing, LoopThread, crossing_to

LIMIT_S = 30


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """A loop in a thread of its own."""
    thread = LoopThread()
    yield thread
    thread.stop()


def test_what_is_put_runs_on_the_loop_in_its_order(thread: LoopThread) -> None:
    crossing = crossing_to(thread.loop)
    seen: list[tuple[int, int]] = []
    done = threading.Event()
    for number in range(100):
        crossing.put(lambda n: seen.append((n, threading.get_ident())), number)
    crossing.put(lambda _: done.set(), None)
    assert done.wait(LIMIT_S)
    assert [number for number, _ in seen] == list(range(100))
    assert {ident for _, ident in seen} == {thread._thread.ident}


def test_one_tick_takes_one_wake_up(thread: LoopThread, monkeypatch: pytest.MonkeyPatch) -> None:
    crossing = Crossing(thread.loop)
    wake_ups: list[None] = []
    wake_loop = Crossing._wake_loop
    monkeypatch.setattr(Crossing, "_wake_loop", lambda self: (wake_ups.append(None), wake_loop(self)))
    loop_is_held, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        loop_is_held.set()
        assert go_on.wait(LIMIT_S)

    thread.loop.call_soon_threadsafe(hold)
    assert loop_is_held.wait(LIMIT_S)
    seen: list[int] = []
    for number in range(1000):
        crossing.put(seen.append, number)
    crossing.put(lambda _: done.set(), None)
    go_on.set()
    assert done.wait(LIMIT_S)
    assert seen == list(range(1000))
    assert len(wake_ups) == 1


def test_many_threads_lose_nothing(thread: LoopThread) -> None:
    crossing = crossing_to(thread.loop)
    seen: list[tuple[int, int]] = []
    done = threading.Event()

    def put_many(who: int) -> None:
        for number in range(2000):
            crossing.put(seen.append, (who, number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put_many, range(8)))
    crossing.put(lambda _: done.set(), None)
    assert done.wait(LIMIT_S)
    assert len(seen) == 8 * 2000
    for who in range(8):
        assert [number for other, number in seen if other == who] == list(range(2000))


def test_one_that_fails_takes_nothing_else_with_it(thread: LoopThread) -> None:
    crossing = crossing_to(thread.loop)
    told: list[dict[str, Any]] = []
    thread.loop.set_exception_handler(lambda _, context: told.append(context))
    loop_is_held, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def hold(_: object) -> None:
        loop_is_held.set()
        assert go_on.wait(LIMIT_S)

    def fail(_: object) -> None:
        raise LookupError("no such thing")

    crossing.put(hold, None)
    assert loop_is_held.wait(LIMIT_S)
    crossing.put(fail, None)
    crossing.put(lambda _: done.set(), None)
    go_on.set()
    assert done.wait(LIMIT_S)
    assert [type(context["exception"]) for context in told] == [LookupError]


def test_there_is_one_crossing_to_a_loop(thread: LoopThread) -> None:
    assert crossing_to(thread.loop) is crossing_to(thread.loop)


def test_closed_loop_is_an_error_for_whoever_puts() -> None:
    loop = asyncio.new_event_loop()
    crossing = crossing_to(loop)
    loop.close()
    with pytest.raises(RuntimeError):
        crossing.put(print, None)
    with pytest.raises(RuntimeError):
        crossing.put(print, None)


def test_loop_that_is_gone_takes_its_crossing_with_it() -> None:
    async def cross() -> weakref.ref[Any]:
        loop = asyncio.get_running_loop()
        crossing_to(loop)
        return weakref.ref(loop)

    loop = asyncio.run(cross())
    gc.collect()
    assert loop() is None


def test_result_of_a_coroutine_on_the_loop(thread: LoopThread) -> None:
    async def where() -> int:
        return threading.get_ident()

    assert thread.run(where(), LIMIT_S) == thread._thread.ident != threading.get_ident()


def test_error_of_a_coroutine_on_the_loop(thread: LoopThread) -> None:
    async def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        thread.run(fail(), LIMIT_S)


def test_wait_that_is_given_up_cancels_the_coroutine(thread: LoopThread) -> None:
    cancelled = threading.Event()

    async def wait_for_ever() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        thread.run(wait_for_ever(), 0.0)
    assert cancelled.wait(LIMIT_S)


def test_stopped_loop_is_closed() -> None:
    thread = LoopThread()
    thread.stop()
    thread.stop()
    assert thread.loop.is_closed()
