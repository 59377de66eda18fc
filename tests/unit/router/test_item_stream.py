"""Situations of the items of an answer, between those who bring them and those who read them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from mesh.payload import PICKLE, Payload
from mesh.router.item_stream import ItemStream

pytestmark = pytest.mark.feature("57")


class _Call:
    """The call that the items answer."""

    def __init__(self) -> None:
        self.call_id = 7
        self.consumed: list[tuple[int, int, int]] = []
        self.said: list[str] = []
        self.session = SimpleNamespace(consumed=lambda *consumed: self.consumed.append(consumed))

    def expect_item(self) -> None:
        self.said.append("the time runs")

    def expect_nothing(self) -> None:
        self.said.append("no time runs")


@pytest.fixture
def call() -> Any:
    return _Call()


@pytest.fixture
def stream(call: Any) -> ItemStream:
    return ItemStream(call)


def _item(body: bytes) -> Payload:
    return Payload(PICKLE, body)


def test_items_are_taken_in_their_order_and_then_it_has_ended(stream: ItemStream) -> None:
    stream.put(_item(b"1"))
    stream.put(_item(b"2"))
    stream.close(None)
    assert not stream.has_ended()
    assert [stream.take(), stream.take(), stream.take()] == [_item(b"1"), _item(b"2"), None]
    assert stream.has_ended()


@pytest.mark.parametrize("begin", [lambda s: s.put(_item(b"1")), lambda s: s.close(None)], ids=["item", "end"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_whoever_waits_is_told_of_what_comes_and_of_what_is_there(
    stream: ItemStream, begin: Any, is_first: bool
) -> None:
    told: list[str] = []
    if is_first:
        begin(stream)
    stream.when_changed(lambda: told.append("told"))
    if not is_first:
        assert told == []
        begin(stream)
    assert told == ["told"]
    stream.put(_item(b"2"))
    assert told == ["told"]


def test_what_was_taken_is_told_to_the_session_in_one(stream: ItemStream, call: Any) -> None:
    stream.taken((3, 300))
    stream.taken((0, 0))
    assert call.consumed == [(7, 300, 3)]


def test_time_runs_while_somebody_waits(stream: ItemStream, call: Any) -> None:
    stream.unclock()
    stream.when_changed(lambda: None)
    stream.wanted((2, 20))
    assert call.said == ["no time runs", "the time runs"]
    assert call.consumed == [(7, 20, 2)]


def test_time_does_not_run_when_the_item_has_come_before_the_wish(stream: ItemStream, call: Any) -> None:
    stream.when_changed(lambda: None)
    stream.put(_item(b"1"))
    stream.take()
    stream.wanted((0, 0))
    assert call.said == []


async def test_error_is_raised_behind_the_items(stream: ItemStream, call: Any) -> None:
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    stream.put(_item(b"1"))
    stream.close(LookupError("no such thing"))
    assert await reading == _item(b"1")
    with pytest.raises(LookupError, match="no such thing"):
        await anext(stream)
    assert call.consumed == [(7, 1, 1)]
