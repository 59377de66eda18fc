"""One call in a replica, from the moment it is admitted until the user's code for it has really ended.

How the public doors are answered stands in ``http_answer`` and ``door_answer``; what generators yield to handles in
``items``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import aclosing
from contextvars import copy_context
from functools import partial
from threading import Lock, get_ident
from time import monotonic
from types import AsyncGeneratorType, GeneratorType
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from mesh import errors
from mesh.answers import encode_refusal
from mesh.context import RequestContext, current, turn
from mesh.deadline import NEVER
from mesh.error_detail import encode_error
from mesh.http import decode_request, empty_request
from mesh.passed_stream import arriving
from mesh.payload import DOOR_CALL, HTTP_REQUEST, HTTP_RESPONSE, WEBSOCKET, Payload, decode, encode_result
from mesh.response import ATTACHABLES, complete, passed_on_as
from mesh.response_generator import DeploymentResponseGenerator
from mesh.segments.buffer import Buffer
from mesh.segments.copying import keep
from sidecar import door_call
from sidecar.arriving_body import ArrivingBody
from sidecar.arriving_items import ArrivingItems
from sidecar.door_answer import answer_door
from sidecar.http_answer import answer_http
from sidecar.items import ItemsOfLoop, ItemsOfTurn
from sidecar.user_code import BoundMethod
from sidecar.websocket_call import serve_websocket

if TYPE_CHECKING:
    from sidecar.session import ReplicaSession

_OF_THE_LOOP = (*ATTACHABLES, AsyncGeneratorType)
"""Results of plain methods that the loop has to deal with."""
_OF_HTTP = (HTTP_REQUEST, WEBSOCKET)
"""Calls whose items are pieces of a body, or messages."""
_PUBLIC = (HTTP_REQUEST, DOOR_CALL)
"""Calls of strangers: they neither send nor get pickles."""


class Work:
    """A call that was admitted: holds a slot until :meth:`_over`, which comes exactly once."""

    __slots__ = ("_begun_s", "_claim", "_has_sent", "_is_over", "_is_timed", "_items", "_payload", "_reason",
                 "_request", "_thread", "_writable", "_yielding", "call_id", "context", "is_cancelled", "method",
                 "session", "task")  # fmt: skip

    def __init__(
        self,
        session: ReplicaSession,
        call_id: int,
        method: BoundMethod,
        payload: Payload,
        context: RequestContext,
        items_follow: bool,
        is_timed: bool = True,
    ) -> None:
        self.method = method
        self.context = context
        self.session = session
        self.call_id = call_id
        self._payload = payload
        self._items: ArrivingBody | ArrivingItems | None = None
        if items_follow:
            self._items = (ArrivingBody if payload.encoding in _OF_HTTP else ArrivingItems)(session, call_id)
        self._request: Request | None = None
        self.task: asyncio.Task[Any] | None = None
        """What runs for it on the loop."""
        self._yielding: ItemsOfLoop | ItemsOfTurn | None = None
        self._writable: asyncio.Event | None = None
        self._claim = Lock()  # whoever takes it says how the call ends: the code that runs it, or its cancellation
        # What is gathered into a batch waits for others, and a WebSocket for its client: their time says nothing.
        self._is_timed = is_timed and not method.is_gathered and payload.encoding != WEBSOCKET
        self._thread = 0  # that runs the user's code on a turn now
        self._begun_s = 0.0  # when the user's code of a call that is timed began, until its time is told
        self._has_sent = False  # an item of the answer
        self.is_cancelled = False
        """Nobody waits for it any more."""
        self._is_over = False
        self._reason: errors.MeshError | None = None

    def start(self) -> None:
        """Begin: at once on the loop, or when the turn comes."""
        if self.method.runs_on_loop or self._payload.encoding == WEBSOCKET:
            self.task = self.session.loop.create_task(self._run_on_loop())
        else:
            self.session.turns.submit(partial(copy_context().run, self._run_on_turn))

    # --- async def

    async def _run_on_loop(self) -> None:
        self._claim.acquire()
        if self._is_timed:
            self._begun_s = monotonic()
        current.set(self.context)
        try:
            if self._payload.encoding == WEBSOCKET:
                assert isinstance(self._items, ArrivingBody)
                await serve_websocket(self, self._payload.body, self._items)
                return
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
        if self._is_timed:
            self._begun_s = monotonic()
        current.set(self.context)
        turn.set(self.session.turns)
        to_loop = self.session.crossing.put
        try:
            result = self.on_turn(self._call_method)
            if self._payload.encoding not in _PUBLIC and not isinstance(result, _OF_THE_LOOP):
                if isinstance(result, GeneratorType):
                    self._items_of_turn(result).step()
                    return
                encoded = encode_result(result, ATTACHABLES)
                if encoded.loose:
                    encoded = encoded.kept(keep(encoded.loose))  # on the turn: the next method may change them
                if not encoded.attached:
                    to_loop(self.reply, encoded.with_payloads(()))
                    return
        except BaseException as error:
            to_loop(self._fail, error)
            return
        to_loop(self._answer_from_turn, result)

    def on_turn(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run user's code of this call on the turn that the thread has; meanwhile :attr:`is_in_vain` may be true."""
        self._thread = get_ident()
        try:
            return function(*args)
        finally:
            self._thread = 0

    def _call_method(self) -> Any:
        args, kwargs = self._arguments()
        return self.method.function(*args, **kwargs)

    def _answer_from_turn(self, result: Any) -> None:
        """Back on the loop, with a result that has to be waited for or is an answer in HTTP."""
        if self.is_cancelled:
            self._fail(asyncio.CancelledError())
        else:
            self._claim.release()
            self.task = self.session.loop.create_task(self._answer_on_loop(result))

    async def _answer_on_loop(self, result: Any) -> None:
        self._claim.acquire()
        current.set(self.context)
        try:
            await self._answer(result)
        except BaseException as error:
            self._fail(error)

    # --- both

    def _took(self) -> None:
        """There is an answer, or its first item; what came late counts, what failed early does not."""
        now_s = monotonic()
        self.session.took(now_s - self._begun_s, now_s)
        self._begun_s = 0.0

    def sends_item(self) -> None:
        """An item is there: if it is the first one, from now on the caller watches the time between items."""
        self._has_sent = True
        self.context.deadline = NEVER
        if self._begun_s:
            self._took()

    def _arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._payload.encoding == HTTP_REQUEST:
            assert not isinstance(self._items, ArrivingItems)
            if self.method.takes_only_websocket:
                raise HTTPException(426, "this path speaks WebSocket only\n", {"upgrade": "websocket"})
            self._request = decode_request(self._payload.body, self._items)
            return (() if self.method.without_parameters else (self._request,)), {}
        if self._payload.encoding == DOOR_CALL:
            return door_call.read_arguments(self.method, self._payload.body), {}
        if isinstance(self._items, ArrivingItems):
            arriving.set(self._items.outcome())
        payload = self._payload
        self._payload = Payload(payload.encoding, b"")  # the method may let go of the memory of its arguments
        args, kwargs = decode(payload)
        if self.method.wants_request and not (args or kwargs):
            return (empty_request(),), {}
        return args, kwargs

    async def _answer(self, result: Any) -> None:
        if self._payload.encoding == HTTP_REQUEST:
            await answer_http(self, self._request, result)
        elif self._payload.encoding == DOOR_CALL:
            await answer_door(self, result)
        elif isinstance(result, ATTACHABLES):
            await self._pass_on(await passed_on_as(result))
        elif isinstance(result, GeneratorType):
            self.session.turns.submit(self._items_of_turn(result).step)
        elif hasattr(result, "__anext__"):
            self._yielding = items = ItemsOfLoop(self, self.session, self.call_id, result)
            await items.send()
            self.yielded(None)
        else:
            self.reply(await complete(encode_result(result, ATTACHABLES)))

    async def _pass_on(self, result: Payload | DeploymentResponseGenerator[Any]) -> None:
        """Answer with the result of another call, undecoded; with its items as they come when it is a stream."""
        if isinstance(result, Payload):
            self.reply(result)
            return
        async with aclosing(result.give()) as items:
            async for payload in items:
                await self.send(payload)
        self.yielded(None)

    def _items_of_turn(self, generator: Generator[Any, Any, Any]) -> ItemsOfTurn:
        """From now on the call ends when the generator does; on a turn or on the loop."""
        context = copy_context()
        context.run(turn.set, self.session.turns)
        self._yielding = items = ItemsOfTurn(self, self.session, self.call_id, generator, context, self.yielded)
        if self.is_cancelled:  # before there was anything to be told of it
            items.cancelled()
        return items

    def end_items(self) -> None:
        """The caller has every item from now on; the user's code may still run."""
        self.session.end_items(self.call_id)

    def yielded(self, error: BaseException | None) -> None:
        """The items of the answer have come to their end, or to an error."""
        if error is not None:
            self._fail(error)
        elif not self._is_over:
            self.end_items()
            self._over()

    async def send(self, item: Payload) -> None:
        """Send an item; wait first while the caller has not taken enough of those before.

        Raises :class:`mesh.errors.RequestCancelled` when nobody wants it, to code that has caught its cancellation,
        too. To the client of a WebSocket such code may still say goodbye.
        """
        if self.is_cancelled and self._payload.encoding != WEBSOCKET:
            raise errors.RequestCancelled("the call was cancelled")
        end = self.session.end
        while not end.writable(self.call_id):
            if self.is_cancelled or self.call_id not in end.calls:
                raise errors.RequestCancelled("the caller is gone")
            self._writable = asyncio.Event()
            await self._writable.wait()
        self.sends_item()
        self.session.send_item(self.call_id, item)

    def reply(self, payload: Payload) -> None:
        """End the call with one result."""
        if not self._is_over:
            if self._begun_s:
                self._took()
            self.session.reply(self.call_id, payload)
            self._over()

    def _fail(self, error: BaseException) -> None:
        if self._is_over:
            return
        if self.is_cancelled and isinstance(error, asyncio.CancelledError | errors.RequestCancelled):
            error = self._reason or errors.RequestCancelled("the call was cancelled")
        is_refusable = self._payload.encoding == HTTP_REQUEST and not self._has_sent  # an item is no whole answer
        if is_refusable and isinstance(error, HTTPException):
            self.reply(Payload(HTTP_RESPONSE, encode_refusal(error)))
            return
        self.session.fail(self.call_id, encode_error(error))
        self._over()

    def _over(self) -> None:
        if not self._is_over:
            self._is_over = True
            # The task refers back to this object: without the ring no collector has to find the two, and the memory
            # that their arguments are in.
            self.task = None
            if self._items is not None:
                self._items.cut()
            self.session.left(self.call_id)

    def expire(self) -> None:
        """The deadline has passed."""
        self._reason = errors.DeadlineExceeded("the deadline passed while the replica worked on it")
        if self._begun_s:
            self._took()
        self.cancelled()

    # What the session's end tells: see mesh.frames.Opened.

    def cancelled(self) -> None:
        """Nobody waits any more: cancels what runs and all calls below. A running ``def`` keeps its slot to its end."""
        if self._is_over or self.is_cancelled:
            return
        self.is_cancelled = self.context.cancelled = True
        for call in list(self.context.calls):
            call.cancel()
        if self.task is not None:
            self.task.cancel()
        if self._yielding is not None:
            self._yielding.cancelled()
        if self._items is not None:
            self._items.cut()
        if self._claim.acquire(blocking=False):
            self._fail(asyncio.CancelledError())  # what has not begun cannot say so itself

    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = (), /) -> None:
        if self._items is not None:
            self._items.put(Payload(encoding, body, buffers))

    def half_closed(self) -> None:
        if self._items is not None:
            self._items.close()

    def credited(self) -> None:
        if self._yielding is not None:
            self._yielding.credited()
        if self._writable is not None:
            self._writable.set()

    @property
    def is_in_vain(self) -> bool:
        """User's code of it has the turn, be it a method or a step of a generator, and nobody waits for it any more."""
        thread = self._thread
        return self.is_cancelled and thread != 0 and not self.session.turns.is_away(thread)

    @property
    def method_name(self) -> str:
        """What the user calls the method."""
        return getattr(self.method.function, "__name__", type(self.method.function).__name__)

    @property
    def expires_at(self) -> float:
        """The moment to call :meth:`expire`; never for what was cancelled before."""
        return NEVER if self.is_cancelled else self.context.deadline
