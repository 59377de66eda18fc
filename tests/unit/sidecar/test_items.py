"""Situations of a generator in a replica: its credit, its turn, its end before the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any

import pytest

from mesh import errors
from mesh.config import MethodKind
from mesh.context import RequestContext, turn
from mesh.deadline import NEVER
from mesh.error_detail import decode_error
from mesh.frames import item_cost
from mesh.http import encode_request
from mesh.loops import crossing_to
from mesh.payload import HTTP_REQUEST, PICKLE, Payload, decode, encode_call
from mesh.v1.payload_pb2 import ErrorDetail
from sidecar.turns import Turns
from sidecar.user_code import BoundMethod
from sidecar.work import Work

pytestmark = pytest.mark.feature("57")

CALL = 1


class _End:
    """The credit that a session has for the call."""

    def __init__(self) -> None:
        self.credit = 1_000_000
        self.calls = {CALL}

    def writable(self, _: int) -> bool:
        return self.credit > 0

    def room(self, _: int) -> int:
        return max(0, self.credit)


class Session:
    """What a call says to its session."""

    def __init__(self, turns: Turns) -> None:
        self.loop = asyncio.get_running_loop()
        self.crossing = crossing_to(self.loop)
        self.turns = turns
        self.end = _End()
        self.items: list[Any] = []
        self.failed: list[BaseException] = []
        self.times_s: list[float] = []
        self.is_complete = False
        self.changed = asyncio.Event()
        self.has_left = asyncio.Event()

    def send_item(self, _: int, item: Payload) -> None:
        self.items.append(decode(item) if item.encoding == PICKLE else item.body)
        self.end.credit -= item_cost(item.size_bytes)
        self.changed.set()

    def reply(self, *_: object) -> None:
        self.is_complete = True

    def end_items(self, _: int) -> None:
        self.is_complete = True

    def fail(self, _: int, detail: ErrorDetail) -> None:
        self.failed.append(decode_error(detail))

    def took(self, seconds: float, _: float) -> None:
        self.times_s.append(seconds)

    def left(self, _: int) -> None:
        self.has_left.set()

    async def wait_items(self, number: int) -> None:
        """So many items were sent."""
        while len(self.items) < number:
            self.changed.clear()
            await self.changed.wait()

    async def settle(self) -> None:
        """Everybody had a turn: what could go on has done so."""
        for _ in range(5):
            had_turn = asyncio.Event()
            self.turns.submit(lambda event=had_turn: self.crossing.put(lambda _: event.set(), None))  # type: ignore[misc]
            await had_turn.wait()


@pytest.fixture
def turns() -> Iterator[Turns]:
    turns = Turns("turn", 1, 2)
    yield turns
    turns.close()


PICKLED = Payload(PICKLE, encode_call((), {}, ()).body)
REQUEST = encode_request({"method": "GET", "path": "/", "headers": []}, "/", b"", body_follows=False, max_body_bytes=1)


def _begun(session: Session, function: Callable[[], Any], kind: MethodKind, payload: Payload = PICKLED) -> Work:
    method = BoundMethod(function, kind, without_parameters=True)
    session_of_work: Any = session
    work = Work(session_of_work, CALL, method, payload, RequestContext("request", 1e12), items_follow=False)
    work.start()
    return work


class Numbers:
    """A generator of numbers, of each kind, that says what it has seen."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.made = 0
        self.threads: set[str] = set()
        self.turns: set[Any] = set()
        self.has_ended = threading.Event()

    def plain(self) -> Generator[int, None, None]:
        try:
            for value in range(self.number):
                self.made += 1
                self.threads.add(threading.current_thread().name)
                self.turns.add(turn.get())
                yield value
        finally:
            self.has_ended.set()

    async def on_loop(self) -> AsyncGenerator[int, None]:
        try:
            for value in range(self.number):
                self.made += 1
                yield value
        finally:
            await asyncio.sleep(0)
            self.has_ended.set()


KINDS = pytest.mark.parametrize(
    ("name", "kind"), [("plain", MethodKind.GENERATOR), ("on_loop", MethodKind.ASYNC_GENERATOR)]
)


@KINDS
async def test_all_items_are_sent_and_the_slot_is_freed(turns: Turns, name: str, kind: MethodKind) -> None:
    session, numbers = Session(turns), Numbers(100)
    work = _begun(session, getattr(numbers, name), kind)
    await session.has_left.wait()
    assert session.items == list(range(100))
    assert session.is_complete
    assert work.context.deadline == NEVER
    assert len(session.times_s) == 1, "the time to the first item is the service time of a stream"


@KINDS
async def test_generator_waits_for_credit_and_goes_on_with_it(turns: Turns, name: str, kind: MethodKind) -> None:
    session, numbers = Session(turns), Numbers(100)
    session.end.credit = 5 * 1024
    work = _begun(session, getattr(numbers, name), kind)
    await session.wait_items(5)
    await session.settle()
    assert numbers.made == 5
    session.end.credit = 1_000_000
    work.credited()
    await session.has_left.wait()
    assert session.items == list(range(100))


@KINDS
async def test_cancelled_while_it_waits_for_credit(turns: Turns, name: str, kind: MethodKind) -> None:
    session, numbers = Session(turns), Numbers(100)
    session.end.credit = 1
    work = _begun(session, getattr(numbers, name), kind)
    await session.wait_items(1)
    await session.settle()
    work.cancelled()
    await session.has_left.wait()
    assert numbers.has_ended.is_set()
    assert numbers.made == 1
    assert [type(error) for error in session.failed] == [errors.RequestCancelled]


async def test_cancelled_in_the_middle_of_a_step(turns: Turns) -> None:
    in_step, go_on, closed = asyncio.Event(), threading.Event(), threading.Event()
    session = Session(turns)

    def items() -> Generator[int, None, None]:
        try:
            session.crossing.put(lambda _: in_step.set(), None)
            go_on.wait(30)
            yield 1
            yield 2
        finally:
            closed.set()

    work = _begun(session, items, MethodKind.GENERATOR)
    await in_step.wait()
    work.cancelled()
    await asyncio.sleep(0)
    assert not session.has_left.is_set()  # a step that runs keeps its slot to its end
    go_on.set()
    await session.has_left.wait()
    assert closed.is_set()
    assert 2 not in session.items


async def test_cancelled_while_a_method_makes_the_generator(turns: Turns) -> None:
    in_method, go_on = asyncio.Event(), threading.Event()
    session, numbers = Session(turns), Numbers(3)

    def make() -> Generator[int, None, None]:
        session.crossing.put(lambda _: in_method.set(), None)
        go_on.wait(30)
        return numbers.plain()

    work = _begun(session, make, MethodKind.DEF)
    await in_method.wait()
    work.cancelled()
    go_on.set()
    await session.has_left.wait()
    assert (numbers.made, session.items) == (0, [])
    assert [type(error) for error in session.failed] == [errors.RequestCancelled]


async def test_cancelled_before_its_first_step(turns: Turns) -> None:
    held, numbers, session = threading.Event(), Numbers(3), Session(turns)
    turns.submit(lambda: held.wait(30))
    _begun(session, numbers.plain, MethodKind.GENERATOR).cancelled()
    assert session.has_left.is_set()
    held.set()
    await session.settle()
    assert (numbers.made, len(session.failed)) == (0, 1)


@pytest.mark.parametrize("kind", [MethodKind.GENERATOR, MethodKind.ASYNC_GENERATOR])
async def test_exception_comes_behind_the_items(turns: Turns, kind: MethodKind) -> None:
    def plain() -> Generator[int, None, None]:
        yield 1
        raise LookupError("no such thing")

    async def on_loop() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("no such thing")

    session = Session(turns)
    _begun(session, plain if kind is MethodKind.GENERATOR else on_loop, kind)
    await session.has_left.wait()
    assert session.items == [1]
    assert [type(error) for error in session.failed] == [LookupError]
    assert not session.is_complete


async def test_exception_of_closing_is_told(turns: Turns) -> None:
    def items() -> Generator[int, None, None]:
        try:
            yield 1
        finally:
            raise LookupError("no such thing")

    session = Session(turns)
    session.end.credit = 1
    work = _begun(session, items, MethodKind.GENERATOR)
    await session.wait_items(1)
    await session.settle()
    work.cancelled()
    await session.has_left.wait()
    assert [type(error) for error in session.failed] == [LookupError]


async def test_others_have_the_turn_between_two_steps(turns: Turns) -> None:
    session = Session(turns)
    order: list[str] = []

    def items() -> Generator[int, None, None]:
        for number in range(10):
            order.append(f"step {number}")
            turns.submit(lambda number=number: order.append(f"other {number}"))  # type: ignore[misc]
            yield number

    _begun(session, items, MethodKind.GENERATOR)
    await session.has_left.wait()
    await session.settle()
    assert order == [f"{who} {number}" for number in range(10) for who in ("step", "other")]


async def test_steps_know_the_turn_that_they_are_on(turns: Turns) -> None:
    session, numbers = Session(turns), Numbers(10)
    _begun(session, numbers.plain, MethodKind.GENERATOR)
    await session.has_left.wait()
    assert numbers.turns == {turns}
    assert len(numbers.threads) == 1


async def test_first_item_is_on_its_way_before_the_second_step(turns: Turns) -> None:
    session = Session(turns)
    seen: list[int] = []

    def items() -> Generator[int, None, None]:
        yield 1
        seen.append(len(session.items))
        yield 2

    _begun(session, items, MethodKind.GENERATOR)
    await session.has_left.wait()
    assert seen == [1]


async def test_loop_is_asked_for_after_the_first_item(turns: Turns) -> None:
    session = Session(turns)
    seen: list[str] = []

    async def items() -> AsyncGenerator[int, None]:
        session.loop.call_soon(seen.append, "another")
        yield 1
        seen.append("the second step")
        yield 2

    _begun(session, items, MethodKind.ASYNC_GENERATOR)
    await session.has_left.wait()
    assert seen == ["another", "the second step"]


async def test_generator_that_was_cancelled_and_queues_to_be_closed_is_not_in_vain(turns: Turns) -> None:
    session, numbers, busy = Session(turns), Numbers(100), threading.Event()
    session.end.credit = 1
    work = _begun(session, numbers.plain, MethodKind.GENERATOR)
    await session.wait_items(1)
    await session.settle()
    turns.submit(lambda: busy.wait(30))
    work.cancelled()
    assert not work.is_in_vain
    busy.set()
    await session.has_left.wait()


@pytest.mark.parametrize("kind", [MethodKind.GENERATOR, MethodKind.DEF])
async def test_code_that_has_the_turn_is_in_vain_when_its_caller_is_gone(turns: Turns, kind: MethodKind) -> None:
    session, in_code, go_on = Session(turns), asyncio.Event(), threading.Event()

    def hold() -> None:
        session.crossing.put(lambda _: in_code.set(), None)
        go_on.wait(30)

    def items() -> Generator[int, None, None]:
        hold()
        yield 1

    work = _begun(session, items if kind is MethodKind.GENERATOR else hold, kind)
    await in_code.wait()
    assert not work.is_in_vain
    work.cancelled()
    assert work.is_in_vain
    go_on.set()
    await session.settle()
    assert not work.is_in_vain


async def test_code_that_has_given_its_turn_away_is_not_in_vain(turns: Turns) -> None:
    session, away, back, go_on = Session(turns), asyncio.Event(), asyncio.Event(), threading.Event()
    end = threading.Event()

    def method() -> None:
        with turns.given_away():
            session.crossing.put(lambda _: away.set(), None)
            go_on.wait(30)
        session.crossing.put(lambda _: back.set(), None)
        end.wait(30)

    work = _begun(session, method, MethodKind.DEF)
    await away.wait()
    work.cancelled()
    assert not work.is_in_vain
    go_on.set()
    await back.wait()
    assert work.is_in_vain
    end.set()
    await session.settle()


async def test_generator_behind_http_is_in_vain_while_its_step_has_the_turn(turns: Turns) -> None:
    session, in_code, go_on = Session(turns), asyncio.Event(), threading.Event()

    def items() -> Generator[str, None, None]:
        session.crossing.put(lambda _: in_code.set(), None)
        go_on.wait(30)
        yield "piece"

    work = _begun(session, items, MethodKind.GENERATOR, Payload(HTTP_REQUEST, REQUEST))
    await in_code.wait()
    work.cancelled()
    await asyncio.sleep(0)
    assert work.is_in_vain
    go_on.set()
    await session.has_left.wait()
    assert not work.is_in_vain


@pytest.mark.parametrize("payload", [PICKLED, Payload(HTTP_REQUEST, REQUEST)], ids=["handle", "http"])
async def test_generator_that_catches_its_cancellation_and_yields_again_is_ended(
    turns: Turns, payload: Payload
) -> None:
    session, in_code, has_ended = Session(turns), asyncio.Event(), asyncio.Event()

    async def items() -> AsyncGenerator[str, None]:
        try:
            in_code.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "I go on"
        finally:
            has_ended.set()

    work = _begun(session, items, MethodKind.ASYNC_GENERATOR, payload)
    await in_code.wait()
    session.end.credit = 0  # as it is of a call whose caller has cancelled it
    work.cancelled()
    async with asyncio.timeout(10):
        await session.has_left.wait()
        await has_ended.wait()
    assert "I go on" not in session.items
