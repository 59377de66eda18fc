"""One call in a replica, from the moment it is admitted until the user's code for it has really ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextvars import Context, copy_context
from functools import partial
from threading import Lock
from time import monotonic
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mesh import errors
from mesh.answers import answer_of, encode_refusal, run_response
from mesh.context import RequestContext, current, turn
from mesh.deadline import NEVER
from mesh.http import decode_request, empty_request
from mesh.payload import (
    BYTES,
    DOOR_ANSWER,
    DOOR_CALL,
    HTTP_REQUEST,
    HTTP_RESPONSE,
    Payload,
    decode,
    encode_error,
    encode_result,
)
from mesh.response import ATTACHABLES, payload_of
from sidecar import door_call
from sidecar.items import ItemsOfLoop, ItemsOfTurn
from sidecar.user_code import BoundMethod

if TYPE_CHECKING:
    from sidecar.session import ReplicaSession

_LAST = object()
_OF_THE_LOOP = (*ATTACHABLES, AsyncGeneratorType)
"""Results of plain methods that the loop has to deal with."""
_PUBLIC = (HTTP_REQUEST, DOOR_CALL)
"""Calls of strangers: they neither send nor get pickles."""


class Work:
    """A call that was admitted: holds a slot until :meth:`_over`, which comes exactly once."""

    __slots__ = ("_call_id", "_claim", "_is_cancelled", "_is_over", "_items", "_payload", "_reason", "_request",
                 "_session", "_writable", "_yielding", "context", "method", "task")  # fmt: skip

    def __init__(
        self,
        session: ReplicaSession,
        call_id: int,
        method: BoundMethod,
        payload: Payload,
        context: RequestContext,
        items_follow: bool,
    ) -> None:
        self.method = method
        self.context = context
        self._session = session
        self._call_id = call_id
        self._payload = payload
        self._items = _BodyItems(session, call_id) if items_follow else None
        self._request: Request | None = None
        self.task: asyncio.Task[Any] | None = None
        """What runs for it on the loop."""
        self._yielding: ItemsOfLoop | ItemsOfTurn | None = None
        self._writable: asyncio.Event | None = None
        self._claim = Lock()  # whoever takes it says how the call ends: the code that runs it, or its cancellation
        self._is_cancelled = False
        self._is_over = False
        self._reason: errors.MeshError | None = None

    def start(self) -> None:
        """Begin: at once on the loop, or when the turn comes."""
        if self.method.runs_on_loop:
            self.task = self._session.loop.create_task(self._run_on_loop())
        else:
            self._session.turns.submit(partial(copy_context().run, self._run_on_turn))

    # --- async def

    async def _run_on_loop(self) -> None:
        self._claim.acquire()
        current.set(self.context)
        try:
            args, kwargs = self._arguments()
            result = self.method.function(*args, **kwargs)
            if hasattr(result, "__await__"):
                result = await result
            await self._answer(result)
        except BaseException as error:
            self._fail(error)

    # --- def

    def _run_on_turn(self) -> None:
        """On a turn's thread. What belongs to the loop goes there in one batch with what other jobs have to say."""
        if not self._claim.acquire(blocking=False):
            return
        current.set(self.context)
        turn.set(self._session.turns)
        to_loop = self._session.crossing.put
        try:
            args, kwargs = self._arguments()
            result = self.method.function(*args, **kwargs)
            if self._payload.encoding not in _PUBLIC and not isinstance(result, _OF_THE_LOOP):
                if isinstance(result, GeneratorType):
                    self._items_of_turn(result).step()
                    return
                encoded = encode_result(result, ATTACHABLES)
                if not encoded.attached:
                    to_loop(self._reply, encoded.with_payloads(()))
                    return
        except BaseException as error:
            to_loop(self._fail, error)
            return
        to_loop(self._answer_from_turn, result)

    def _answer_from_turn(self, result: Any) -> None:
        """Back on the loop, with a result that has to be waited for or is an answer in HTTP."""
        if self._is_cancelled:
            self._fail(asyncio.CancelledError())
        else:
            self._claim.release()
            self.task = self._session.loop.create_task(self._answer_on_loop(result))

    async def _answer_on_loop(self, result: Any) -> None:
        self._claim.acquire()
        current.set(self.context)
        try:
            await self._answer(result)
        except BaseException as error:
            self._fail(error)

    # --- both

    def _arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._payload.encoding == HTTP_REQUEST:
            self._request = decode_request(self._payload.body, self._items)
            return (() if self.method.without_parameters else (self._request,)), {}
        if self._payload.encoding == DOOR_CALL:
            return door_call.read_arguments(self.method, self._payload.body), {}
        args, kwargs = decode(self._payload)
        if self.method.wants_request and not (args or kwargs):
            return (empty_request(),), {}
        return args, kwargs

    async def _answer(self, result: Any) -> None:
        if self._payload.encoding == HTTP_REQUEST:
            await self._answer_http(result)
        elif self._payload.encoding == DOOR_CALL:
            await self._answer_door(result)
        elif isinstance(result, ATTACHABLES):
            self._reply(await payload_of(result))
        elif isinstance(result, GeneratorType):
            self._session.turns.submit(self._items_of_turn(result).step)
        elif hasattr(result, "__anext__"):
            self._yielding = items = ItemsOfLoop(self, self._session, self._call_id, result)
            await items.send()
            self._yielded(None)
        else:
            encoded = encode_result(result, ATTACHABLES)
            self._reply(encoded.with_payloads([await payload_of(value) for value in encoded.attached]))

    def _items_of_turn(self, generator: Generator[Any, Any, Any]) -> ItemsOfTurn:
        """From now on the call ends when the generator does; on a turn or on the loop."""
        context = copy_context()
        context.run(turn.set, self._session.turns)
        self._yielding = items = ItemsOfTurn(self, self._session, self._call_id, generator, context, self._yielded)
        if self._is_cancelled:  # before there was anything to be told of it
            items.cancelled()
        return items

    def _yielded(self, error: BaseException | None) -> None:
        """The items of the answer have come to their end, or to an error."""
        if error is not None:
            self._fail(error)
        elif not self._is_over:
            self._session.end_items(self._call_id)
            self._over()

    async def _answer_http(self, result: Any) -> None:
        if isinstance(result, GeneratorType):
            result = self._steps(result)
        answer = await answer_of(result)
        if not isinstance(answer, Response):
            self._reply(Payload(HTTP_RESPONSE, answer))
            return
        await self._stream_response(answer)

    async def _answer_door(self, result: Any) -> None:
        items: Any = self._steps(result) if isinstance(result, GeneratorType) else result
        if not hasattr(items, "__anext__"):
            self._reply(Payload(DOOR_ANSWER, await door_call.encode_answer(result)))
            return
        try:
            async for item in items:
                await self._send(DOOR_ANSWER, await door_call.encode_answer(item))
        finally:
            if hasattr(items, "aclose"):
                await items.aclose()
        self._yielded(None)

    async def _stream_response(self, response: Response) -> None:
        pieces = run_response(response, self._request)
        try:
            await self._send(HTTP_RESPONSE, await anext(pieces))
            async for piece in pieces:
                if piece:
                    await self._send(BYTES, piece)
                else:
                    self._session.end_items(self._call_id)  # the client has it all; background tasks may still run
        finally:
            await pieces.aclose()
        self._yielded(None)

    async def _send(self, encoding: int, body: bytes) -> None:
        """Send an item; wait first while the caller has not taken enough of those before."""
        end = self._session.end
        while not end.writable(self._call_id):
            if self._call_id not in end.calls:
                raise errors.RequestCancelled("the caller is gone")
            self._writable = asyncio.Event()
            await self._writable.wait()
        self.context.deadline = NEVER  # the first item is there: from now on the caller watches the time between items
        self._session.send_item(self._call_id, encoding, body)

    async def _steps(self, generator: Generator[Any, None, None]) -> AsyncIterator[Any]:
        """The items of a plain generator, each step on the turn; between steps it is on no thread."""
        context = copy_context()
        try:
            while (item := await self._on_turn(context, next, generator, _LAST)) is not _LAST:
                yield item
        finally:
            await asyncio.shield(self._on_turn(context, generator.close))

    def _on_turn(self, context: Context, function: Any, *args: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._session.loop.create_future()

        def step() -> None:
            try:
                result, error = context.run(function, *args), None
            except BaseException as raised:
                result, error = None, raised
            self._session.crossing.put(_settle, (future, result, error))

        self._session.turns.submit(step)
        return future

    def _reply(self, payload: Payload) -> None:
        if not self._is_over:
            self._session.reply(self._call_id, payload.encoding, payload.body)
            self._over()

    def _fail(self, error: BaseException) -> None:
        if self._is_over:
            return
        if self._is_cancelled and isinstance(error, asyncio.CancelledError | errors.RequestCancelled):
            error = self._reason or errors.RequestCancelled("the call was cancelled")
        if isinstance(error, HTTPException) and self._payload.encoding == HTTP_REQUEST:
            self._reply(Payload(HTTP_RESPONSE, encode_refusal(error)))
            return
        self._session.fail(self._call_id, encode_error(error))
        self._over()

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._session.left(self._call_id)

    def expire(self) -> None:
        """The deadline has passed."""
        self._reason = errors.DeadlineExceeded("the deadline passed while the replica worked on it")
        self.cancelled()

    # What the session's end tells: see mesh.frames.Opened.

    def cancelled(self) -> None:
        """Nobody waits any more: cancels what runs and all calls below. A running ``def`` keeps its slot to its end."""
        if self._is_over or self._is_cancelled:
            return
        self._is_cancelled = self.context.cancelled = True
        for call in list(self.context.calls):
            call.cancel()
        if self.task is not None:
            self.task.cancel()
        if self._yielding is not None:
            self._yielding.cancelled()
        if self._claim.acquire(blocking=False):
            self._fail(asyncio.CancelledError())  # what has not begun cannot say so itself

    def item(self, encoding: int, body: bytes) -> None:
        if self._items is not None:
            self._items.put(body)

    def half_closed(self) -> None:
        if self._items is not None:
            self._items.close()

    def credited(self) -> None:
        if self._yielding is not None:
            self._yielding.credited()
        if self._writable is not None:
            self._writable.set()

    @property
    def is_late(self) -> bool:
        """Past its deadline and not told so yet."""
        return not self._is_cancelled and self.context.deadline <= monotonic()


def _settle(outcome: tuple[asyncio.Future[Any], Any, BaseException | None]) -> None:
    future, result, error = outcome
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class _BodyItems:
    """The items of a call's arguments: the body of a long HTTP request. Each one taken lets the caller send more."""

    def __init__(self, session: ReplicaSession, call_id: int) -> None:
        self._session = session
        self._call_id = call_id
        self._items: deque[bytes] = deque()
        self._is_closed = False
        self._is_asked = False
        self._changed = asyncio.Event()

    def put(self, body: bytes) -> None:
        self._items.append(body)
        self._changed.set()

    def close(self) -> None:
        self._is_closed = True
        self._changed.set()

    def __aiter__(self) -> _BodyItems:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_asked:
            self._is_asked = True
            self._session.ask_for_items(self._call_id)
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        body = self._items.popleft()
        self._session.consumed(self._call_id, len(body))
        return body
