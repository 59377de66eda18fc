"""The router of one deployment in one process: picks a replica for every call, holds back what has no room.

Everything here runs on the loop that runs gRPC and nothing waits: a call is put into a session or the queue, or ends.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Callable
from functools import partial
from random import random
from time import monotonic

from mesh import errors
from mesh.autoscaling import AutoscalingConfig
from mesh.carrier import Carrier, Passenger
from mesh.config import DeploymentConfig, Method
from mesh.context import RequestContext
from mesh.error_detail import describe_error
from mesh.payload import Payload
from mesh.router.call import Call
from mesh.router.candidate import Candidate
from mesh.router.candidates import Candidates
from mesh.router.endpoints import Endpoint
from mesh.router.item_stream import ItemStream
from mesh.router.queue import Queue
from mesh.router.retry_budget import RetryBudget
from mesh.router.room import ThreadRoom
from mesh.router.session import Session
from mesh.v1 import endpoint_pb2

Carry = Callable[[Endpoint, Passenger], Carrier]

QUEUED_BEFORE_KNOWN = 10_000
"""So many calls may wait for the first endpoint set, which says how many may go on waiting."""


class Router:
    """Takes calls for one deployment.

    ``carry`` makes a carrier to a replica; ``keep_time`` has :meth:`tick` called while it says that something is under
    way. ``tell_demand`` is called when calls begin to wait because a deployment that autoscales has no replica, and
    when none waits for that any more.
    """

    def __init__(
        self,
        application: str,
        deployment: str,
        carry: Carry,
        keep_time: Callable[[Router], None],
        tell_demand: Callable[[Router], None] = lambda _: None,
    ) -> None:
        self.application = application
        self.name = deployment
        self.config: DeploymentConfig | None = None
        """The deployment's settings; None before the first endpoint set."""
        self.methods: tuple[str, ...] = ()
        """The methods that can be called; empty before the first endpoint set."""
        self._generators: frozenset[str] = frozenset()
        self.thread_room = ThreadRoom()
        self._carry = carry
        self._keep_time = keep_time
        self._tell_demand = tell_demand
        self._lacks_replica = False  # as told last
        self._gone: Callable[[], errors.MeshError] | None = None  # why nothing can be called
        self._candidates = Candidates(self._connect, random)
        self._leaving: set[Session] = set()  # sessions to replicas that are out of the set, with calls left
        self._limits = DeploymentConfig(max_queued_requests=QUEUED_BEFORE_KNOWN)
        self._queue = Queue()
        self._waits = False  # as the sessions were told: calls wait for room
        self._budget = RetryBudget()
        self._is_known = asyncio.Event()
        self._is_closed = False

    # --- what comes from callers

    def call(
        self,
        method: str,
        payload: Payload,
        context: RequestContext,
        items: AsyncIterator[Payload] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> asyncio.Future[Payload | ItemStream]:
        """Call a method from the loop that runs gRPC; the future's cancellation cancels the call everywhere.

        ``timeout_s=math.inf`` is for what may last: neither the deployment's timeout nor that between items holds.
        """
        future = CallFuture()
        future.call = call = Call(self, method, future, context, timeout_s=timeout_s, items=items)
        call.payload = payload
        self.submit(call)
        return future

    async def wait_config(self) -> DeploymentConfig | None:
        """The deployment's settings, as soon as the first endpoint set has come; None when it does not exist."""
        await self._is_known.wait()
        return self.config

    def submit(self, call: Call) -> None:
        """Put a call on its way; it ends in any case."""
        if call.is_over:
            return
        call.bound(self._limits.request_timeout_s)
        self._keep_time(self)
        if self._gone is not None:
            call.end(self._gone())
            return
        if call.parent is not None and call.parent.cancelled:
            call.end(errors.RequestCancelled(f"{self.name}.{call.method} was called by a request that is cancelled"))
            return
        if self.methods and call.method not in self.methods:
            call.end(self.unknown_method(call.method))
            return
        candidate = None if self._queue and not self._reenters(call) else self._pick(call)
        if candidate is not None:
            candidate.open_session().open(call)
        elif call.waits or len(self._queue) < self._limits.max_queued_requests:
            self._enqueue(call)
        else:
            call.end(self._full())

    def _full(self) -> errors.RequestRejected:
        return errors.RequestRejected(
            f"{self.name} is full: {len(self._queue)} requests wait already for {len(self._candidates)} replicas "
            f"(max_queued_requests={self._limits.max_queued_requests}, "
            f"max_ongoing_requests={self._limits.max_ongoing_requests})"
        )

    def _enqueue(self, call: Call) -> None:
        self._queue.put(call, reenters=self._reenters(call))
        self._say_waits()
        self._tell_lack()

    @property
    def lacking(self) -> str:
        """What a call in the queue waits for, as an error says it."""
        if self.config is None:
            return "to hear which replicas there are"
        return "for a replica with room" if len(self._candidates) else "for a replica, there was none"

    def _say_waits(self) -> None:
        """Tell the replicas when calls begin to wait for room, and when no more do: they give room in turn."""
        waits = len(self._queue) > 0
        if waits != self._waits:
            self._waits = waits
            for candidate in self._candidates:
                if candidate.session is not None:
                    candidate.session.say_waits(waits)

    # --- what deployments that autoscale are told by

    @property
    def scaling(self) -> AutoscalingConfig | None:
        """How the deployment autoscales, if it does and that is known by now."""
        return None if self.config is None else self.config.autoscaling_config

    @property
    def ongoing(self) -> int:
        """This router's calls that have not ended, sent or waiting."""
        return sum([len(session.end.calls) for session in self._sessions()]) + len(self._queue)

    @property
    def without_replica(self) -> int:
        """Those that wait because there is no replica at all."""
        return 0 if len(self._candidates) else len(self._queue)

    def _tell_lack(self) -> None:
        lacks_replica = self.without_replica > 0
        if lacks_replica is not self._lacks_replica and self.scaling is not None:
            self._lacks_replica = lacks_replica
            self._tell_demand(self)

    # --- methods and replicas

    def yields(self, method: str) -> bool | None:
        """Whether the method is a generator; None before the first endpoint set."""
        return method in self._generators if self.methods else None

    def unknown_method(self, method: str) -> errors.MethodNotFound:
        """The error for a method that the deployment does not have."""
        near = difflib.get_close_matches(method, self.methods, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return errors.MethodNotFound(f"{self.name} has no method {method!r}, it has {', '.join(self.methods)}{hint}")

    def _pick(self, call: Call) -> Candidate | None:
        return self._candidates.pick(monotonic(), call.created_s, call.model_id, _chain(call))

    def _drain_queue(self) -> None:
        """Send what waits, first come first served, as long as there is room."""
        self._queue.drain(self._send)
        self._say_waits()

    def _send(self, call: Call) -> bool:
        candidate = self._pick(call)
        if candidate is None:
            return False
        candidate.open_session().open(call)
        return True

    def _reenters(self, call: Call) -> bool:
        return any(replica_id in self._candidates for replica_id in _chain(call))

    # --- what comes from sessions

    def _connect(self, candidate: Candidate) -> Session:
        def on_batch() -> None:
            candidate.answered()
            if self._queue:
                self._drain_queue()

        def on_cut(session: Session) -> None:
            self._leaving.discard(session)
            if candidate.session is session:
                candidate.session = None
                if not session.end.draining:
                    candidate.cut(monotonic())

        endpoint = candidate.endpoint
        session = Session(endpoint.replica_id, partial(self._carry, endpoint), on_batch, on_cut)
        session.say_waits(self._waits)
        return session

    def rejected(self, call: Call, session: Session) -> None:
        """A replica gave a call back that it has not begun, or the session was cut before it had sent it."""
        candidate = self._candidates.get(session.replica_id)
        if candidate is not None:
            candidate.refused(monotonic())
        self._again(call)

    def cut(self, call: Call, session: Session) -> None:
        """A session ended after it had sent a call; the replica may have begun it."""
        retry_on_death = self._limits.retry_on_death if call.retry_on_death is None else call.retry_on_death
        hint = "set retry_on_death=True where running it twice does no harm"
        if self._is_closed:
            self._again(call)
        elif retry_on_death and call.items_begun:
            hint = "items had come or gone, so it cannot be run again from the beginning"
        elif retry_on_death:
            if self._budget.allows(call.retries, self._candidates.picks):
                call.retries += 1
                self._again(call)
                return
            hint = f"replicas have died with it {call.retries + 1} times, and too many calls were run again lately"
        call.end(errors.ReplicaDied(f"{session.replica_id} ended while it worked on {self.name}.{call.method}; {hint}"))

    def _again(self, call: Call) -> None:
        """Route a call once more, before all that came after it."""
        if self._gone is not None:
            call.end(self._gone())
        elif not self._send(call):
            self._enqueue(call)

    # --- what comes from the controller and from the clock

    def apply(self, endpoint_set: endpoint_pb2.EndpointSet) -> None:
        """Take over a full endpoint set."""
        is_first = self.config is None
        if endpoint_set.deleted:
            message = endpoint_set.message or f"{self.application}/{self.name} does not exist"
            self._gone = partial(errors.DeploymentNotFound, message)
        else:
            self._gone = None
            self.config = self._limits = DeploymentConfig.from_proto(endpoint_set.config)
            for call in self._queue if is_first else ():
                call.bound(self._limits.request_timeout_s)  # until now it had the default
            methods = [Method.from_proto(method) for method in endpoint_set.methods]
            self._generators = frozenset(method.name for method in methods if method.kind.yields)
            self.methods = tuple(method.name for method in methods)
        self._is_known.set()
        self._candidates.limit = self._limits.max_ongoing_requests
        endpoints = (Endpoint(e.replica_id, e.address, e.socket_path) for e in endpoint_set.endpoints)
        for candidate in self._candidates.change(endpoints, monotonic()):
            if candidate.session is not None:
                candidate.session.say_waits(False)
                self._leaving.add(candidate.session)
        if self._gone is not None:
            self._queue.end(self._gone)
        self._drain_queue()
        if is_first:
            self._queue.trim(self._limits.max_queued_requests, self._full)
        self._tell_lack()

    def tick(self, now_s: float) -> bool:
        """Expire what is past its deadline, send what found room by itself; whether anything is under way."""
        busy = False
        self._candidates.weigh(now_s)
        for session in self._sessions():
            session.expire(now_s)
            busy = busy or bool(session.end.calls)
        if self._queue:
            self._queue.expire(now_s)
            self._drain_queue()
            self._tell_lack()
            busy = True
        return busy

    def close_idle(self, now_s: float, after_s: float) -> None:
        """Close sessions without a call for ``after_s`` seconds, and those to replicas that are gone from the set."""
        for session in self._sessions():
            limit_s = 0.0 if session in self._leaving else after_s
            if session.idle_s(now_s) >= limit_s and not session.end.calls:
                self._close(session)

    def close(self) -> None:
        """End everything that is under way."""
        message = f"{self.application}/{self.name}: the connection to the mesh was closed"
        self._gone = partial(errors.MeshUnavailable, message)
        self._is_closed = True
        self._is_known.set()
        self._queue.end(self._gone)
        for session in self._sessions():
            self._close(session)

    def _close(self, session: Session) -> None:
        candidate = self._candidates.get(session.replica_id)
        if candidate is not None and candidate.session is session:
            candidate.session = None
        session.close()

    def _sessions(self) -> list[Session]:
        return [c.session for c in self._candidates if c.session is not None] + list(self._leaving)


def _chain(call: Call) -> tuple[str, ...]:
    return () if call.parent is None else call.parent.chain


class CallFuture(asyncio.Future[Payload | ItemStream]):
    """The end of a call on the loop that runs gRPC, for a public door: nothing that came back is unpickled.

    Cancelling it cancels the call.
    """

    call: Call
    read_error = staticmethod(describe_error)

    def cancel(self, msg: object | None = None) -> bool:
        if not super().cancel(msg):
            return False
        self.call.cancel()
        return True

    def routed(self) -> None: ...

    def ended(self, result: Payload | ItemStream | BaseException) -> None:
        if self.done():
            return
        del self.call  # it refers to this future: without the ring no collector has to find the two
        if isinstance(result, BaseException):
            self.set_exception(result)
        else:
            self.set_result(result)
