"""Situations of reading a stream: on loops and in threads, of credit that is given back, and of being dropped."""

from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mesh import errors
from mesh.context import turn
from mesh.frames import WINDOW
from mesh.loops import LoopThread, crossing_to
from mesh.outcome import Outcome
from mesh.payload import PICKLE, Payload
from mesh.response import DeploymentResponse
from mesh.response_generator import DeploymentResponseGenerator
from mesh.router.item_stream import ItemStream

pytestmark = pytest.mark.feature("57")

LIMIT_S = 30


class _Call:
    """A call of a generator method whose items the test brings."""

    method = "count"

    def __init__(self) -> None:
        self.call_id = 1
        self.is_cancelled = False
        self.consumed: list[int] = []
        self.router = SimpleNamespace(yields=lambda method: True)
        self.session = SimpleNamespace(consumed=lambda call_id, size, items: self.consumed.append(items))

    def cancel(self) -> None:
        self.is_cancelled = True

    def expect_item(self) -> None: ...

    def expect_nothing(self) -> None: ...


class _Connection:
    """A connection whose loop runs in a thread."""

    def __init__(self, thread: LoopThread) -> None:
        self.loop = thread.loop

    def on_loop(self, function: Any, argument: Any) -> None:
        crossing_to(self.loop).put(function, argument)


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """The loop that runs gRPC."""
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def call() -> Any:
    return _Call()


@pytest.fixture
def stream(call: Any) -> ItemStream:
    return ItemStream(call)


@pytest.fixture
def outcome(thread: LoopThread, call: Any) -> Outcome:
    connection: Any = _Connection(thread)
    outcome = Outcome(connection, "Model", "count")
    outcome.call = call
    return outcome


def _put(stream: ItemStream, *values: object) -> None:
    for value in values:
        stream.put(Payload(PICKLE, pickle.dumps(value)))


def _settled(thread: LoopThread) -> None:
    """All that was told to the loop before has been done."""
    thread.run(asyncio.sleep(0), LIMIT_S)


def test_thread_reads_what_comes_and_gives_its_turn_away_while_it_waits(
    outcome: Outcome, stream: ItemStream, thread: LoopThread
) -> None:
    steps = iter([lambda: outcome.ended(stream), lambda: _put(stream, 1, 2), lambda: stream.close(None)])

    class _Turn:
        def __enter__(self) -> None:
            thread.loop.call_soon_threadsafe(next(steps))

        def __exit__(self, *_: object) -> None: ...

    token = turn.set(SimpleNamespace(given_away=_Turn))
    try:
        assert list(DeploymentResponseGenerator(outcome)) == [1, 2]
    finally:
        turn.reset(token)
    assert list(steps) == []


async def test_other_loop_reads_what_comes(outcome: Outcome, stream: ItemStream, thread: LoopThread) -> None:
    items = DeploymentResponseGenerator(outcome)
    reading = asyncio.ensure_future(anext(items))
    thread.loop.call_soon_threadsafe(outcome.ended, stream)
    thread.loop.call_soon_threadsafe(_put, stream, 1, 2)
    assert await reading == 1
    assert await anext(items) == 2
    thread.loop.call_soon_threadsafe(stream.close, LookupError("no such thing"))
    with pytest.raises(LookupError, match="no such thing"):
        await anext(items)
    assert [item async for item in items] == []


def test_credit_goes_back_in_lots_and_when_nothing_is_left(
    outcome: Outcome, stream: ItemStream, call: Any, thread: LoopThread
) -> None:
    outcome.ended(stream)
    _put(stream, *(b"x" * 1024 for _ in range(40)))
    stream.close(None)
    items = DeploymentResponseGenerator(outcome)
    for _ in range(40):
        next(items)
    _settled(thread)
    assert call.consumed
    assert all(WINDOW // 16 <= read * 2048 <= WINDOW // 4 for read in call.consumed)


async def test_all_that_was_read_is_told_before_waiting(outcome: Outcome, stream: ItemStream, call: Any) -> None:
    outcome.ended(stream)
    _put(stream, 1, 2, 3)
    items = DeploymentResponseGenerator(outcome)
    for _ in range(3):
        await anext(items)
    reading = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0)
    outcome.connection.loop.call_soon_threadsafe(_put, stream, 4)
    assert await reading == 4
    assert call.consumed == [3]


@pytest.mark.parametrize("has_begun", [True, False], ids=["begun", "not begun"])
def test_dropped_generator_cancels_its_call(
    outcome: Outcome, stream: ItemStream, call: Any, has_begun: bool, thread: LoopThread, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mesh.outcome.Call", _Call)
    if has_begun:
        outcome.ended(stream)
        _put(stream, 1, 2)
    items = DeploymentResponseGenerator(outcome)
    if has_begun:
        next(items)
    del items
    gc.collect()
    _settled(thread)
    assert call.is_cancelled


def test_generator_that_was_read_to_its_end_cancels_nothing(
    outcome: Outcome, stream: ItemStream, call: Any, thread: LoopThread
) -> None:
    outcome.ended(stream)
    stream.close(None)
    assert list(DeploymentResponseGenerator(outcome)) == []
    gc.collect()
    _settled(thread)
    assert not call.is_cancelled


def test_cancelled_generator_gives_no_item_more(outcome: Outcome, stream: ItemStream, call: Any) -> None:
    outcome.ended(stream)
    _put(stream, 1, 2)
    items = DeploymentResponseGenerator(outcome)
    assert next(items) == 1
    items.cancel()
    with pytest.raises(errors.RequestCancelled):
        next(items)
    assert list(items) == []


def test_for_on_the_loop_of_the_calls_is_refused_even_when_items_are_there(
    outcome: Outcome, stream: ItemStream, thread: LoopThread
) -> None:
    outcome.ended(stream)
    _put(stream, 1, 2)
    stream.close(None)
    items = DeploymentResponseGenerator(outcome)

    async def read() -> None:
        for _ in items:
            pass

    with pytest.raises(RuntimeError, match="`async for`"):
        thread.run(read(), LIMIT_S)
    assert next(items) == 1


def test_value_where_items_were_asked_for(outcome: Outcome) -> None:
    outcome.ended(Payload(PICKLE, pickle.dumps(1)))
    with pytest.raises(TypeError, match=r"Model\.count has returned a value"):
        next(DeploymentResponseGenerator(outcome))


def test_wait_for_the_first_item_that_takes_too_long_leaves_the_call_alone(outcome: Outcome, call: Any) -> None:
    items = DeploymentResponseGenerator(outcome)
    with pytest.raises(errors.DeadlineExceeded, match="the call goes on"):
        items.result(0)
    assert not call.is_cancelled


def test_response_of_a_method_that_was_not_known_is_read_again_where_it_was_left(
    outcome: Outcome, stream: ItemStream
) -> None:
    outcome.ended(stream)
    _put(stream, 1, 2)
    stream.close(None)
    response = DeploymentResponse(outcome)
    assert next(iter(response)) == 1
    assert list(response) == [2]


def test_only_a_stream_that_somebody_reads_is_given_all_the_time(outcome: Outcome, stream: ItemStream) -> None:
    outcome.ended(stream)
    assert stream.is_clocked
    items = DeploymentResponseGenerator(outcome)
    outcome.connection.loop.call_soon_threadsafe(_put, stream, 1)
    assert next(items) == 1
    assert not stream.is_clocked
