"""Situations of one call in a replica that is given up while the user's code works on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from mesh import errors
from mesh.config import MethodKind
from mesh.context import RequestContext
from mesh.error_detail import decode_error
from mesh.http import encode_request
from mesh.payload import HTTP_REQUEST, PICKLE, Payload, encode_call
from mesh.v1.payload_pb2 import ErrorDetail
from sidecar.user_code import BoundMethod
from sidecar.work import Work


class _Credit:
    """What a session has for the call."""

    calls = (1,)

    def __init__(self) -> None:
        self.is_writable = True

    def writable(self, _: int) -> bool:
        return self.is_writable


class Session:
    """What a call says to its session."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.failed: list[BaseException] = []
        self.replies = 0
        self.end = _Credit()
        self.items: list[Payload] = []
        self.times_s: list[float] = []
        self.left_calls: list[int] = []
        self._has_left = asyncio.Event()

    def fail(self, _: int, detail: ErrorDetail) -> None:
        self.failed.append(decode_error(detail))

    def reply(self, *_: object) -> None:
        self.replies += 1

    def send_item(self, _: int, item: Payload) -> None:
        self.items.append(item)

    def took(self, seconds: float, _: float) -> None:
        self.times_s.append(seconds)

    def left(self, call_id: int) -> None:
        self.left_calls.append(call_id)
        self._has_left.set()

    async def wait_left(self) -> None:
        """The call has ended and its slot is free."""
        await self._has_left.wait()


CALL = Payload(PICKLE, encode_call((), {}, ()).body)


async def _begun(session: Session, function: Callable[[], Awaitable[Any]], payload: Payload = CALL) -> Work:
    method = BoundMethod(function, MethodKind.ASYNC_DEF, without_parameters=True)
    session_of_work: Any = session
    work = Work(session_of_work, 1, method, payload, RequestContext("request"), items_follow=False)
    work.start()
    await asyncio.sleep(0)
    return work


async def _waits() -> None:
    await asyncio.get_running_loop().create_future()


async def _waits_for_a_call_that_is_cancelled_with_it() -> None:
    try:
        await _waits()
    except asyncio.CancelledError:
        raise errors.RequestCancelled("the call below was cancelled") from None


@pytest.mark.parametrize("function", [_waits, _waits_for_a_call_that_is_cancelled_with_it])
async def test_passed_deadline_is_what_the_caller_hears_of(function: Callable[[], Awaitable[Any]]) -> None:
    session = Session()
    (await _begun(session, function)).expire()
    await session.wait_left()
    assert [type(error) for error in session.failed] == [errors.DeadlineExceeded]


@pytest.mark.parametrize("function", [_waits, _waits_for_a_call_that_is_cancelled_with_it])
async def test_cancelled_call_ends_once_and_frees_its_slot_once(function: Callable[[], Awaitable[Any]]) -> None:
    session = Session()
    work = await _begun(session, function)
    work.cancelled()
    work.cancelled()
    await session.wait_left()
    assert [type(error) for error in session.failed] == [errors.RequestCancelled]
    assert (session.left_calls, session.replies) == ([1], 0)


async def test_error_of_the_users_code_after_its_deadline_is_told_as_it_is() -> None:
    async def fails() -> None:
        try:
            await _waits()
        finally:
            raise LookupError("no such thing")

    session = Session()
    (await _begun(session, fails)).expire()
    await session.wait_left()
    assert [type(error) for error in session.failed] == [LookupError]


async def test_call_that_is_cancelled_before_its_first_step_frees_its_slot() -> None:
    session = Session()
    payload = Payload(PICKLE, encode_call((), {}, ()).body)
    session_of_work: Any = session
    method = BoundMethod(_waits, MethodKind.ASYNC_DEF, without_parameters=True)
    work = Work(session_of_work, 1, method, payload, RequestContext("request"), items_follow=False)
    work.start()
    work.cancelled()
    await session.wait_left()
    assert session.left_calls == [1]


async def test_time_of_a_call_is_told_once_when_it_was_answered_and_not_when_it_raised() -> None:
    async def answers() -> str:
        return "answer"

    async def raises() -> None:
        raise LookupError

    for function, times in ((answers, 1), (raises, 0)):
        session = Session()
        await _begun(session, function)
        await session.wait_left()
        assert len(session.times_s) == times


async def test_time_of_a_call_that_came_to_its_deadline_is_told() -> None:
    session = Session()
    work = await _begun(session, _waits)
    work.expire()
    await session.wait_left()
    assert len(session.times_s) == 1


REQUEST = encode_request({"method": "GET", "path": "/", "headers": []}, "/", b"", body_follows=False, max_body_bytes=1)


async def _pieces(number: int) -> AsyncGenerator[str, None]:
    for _ in range(number):
        yield "piece"
    raise HTTPException(418, "no coffee")


@pytest.mark.parametrize("pieces", [0, 1], ids=["before", "after"])
async def test_refusal_is_the_answer_only_while_nothing_was_sent(pieces: int) -> None:
    async def streams() -> Any:
        if not pieces:
            raise HTTPException(418, "no coffee")
        return _pieces(pieces)

    session = Session()
    await _begun(session, streams, Payload(HTTP_REQUEST, REQUEST))
    await session.wait_left()
    assert (session.replies, len(session.items), len(session.failed)) == ((1, 0, 0) if not pieces else (0, 2, 1))
