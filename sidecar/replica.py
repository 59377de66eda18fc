"""A replica: the user's object, what it is working on, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from mesh.config import DeploymentConfig, DeploymentSpec
from mesh.context import ReplicaContext, Surroundings
from mesh.deadline import NEVER
from mesh.loops import crossing_to
from sidecar.admission import Admission
from sidecar.condition import Condition
from sidecar.configured import Configured
from sidecar.health import HealthChecks
from sidecar.held_models import HeldModels
from sidecar.hooks import Hooks
from sidecar.lifespan import Lifespan
from sidecar.promises import LIFETIME_S as PROMISE_S
from sidecar.service_time import ServiceTime
from sidecar.session import ReplicaSession
from sidecar.stuck_turn import StuckTurn
from sidecar.turns import Turns
from sidecar.user_code import ConstructionFailed, UserCode
from sidecar.work import Work

SWEEP_S = 0.02
"""Deadlines are looked at when the next one has passed, but not more often than this."""
SHORTEST_TIMER_S = 0.001
"""A timer may come a little early; it is not set anew for less than this."""
LAST_ANSWERS_S = 5.0
"""How long a replica that drains waits for cancelled calls to end, and for callers to take the last answers."""
OVERFLOW_THREADS = 16
"""Threads beside ``max_ongoing_requests`` for plain methods that wait for other calls."""


class Replica:
    """Lives on the loop that runs gRPC, which is also the loop of the user's ``async def`` methods."""

    def __init__(self, context: ReplicaContext, spec: DeploymentSpec, user_code: UserCode, mesh: object = None) -> None:
        self.replica_id = replica_id = context.replica_id
        self.loop = asyncio.get_running_loop()
        self.crossing = crossing_to(self.loop)
        self.user_code = user_code
        config = spec.config
        self.admission: Admission[ReplicaSession] = Admission(replica_id, config.max_ongoing_requests)
        self.service_time = ServiceTime()
        self.turns = Turns(replica_id, config.threads, config.max_ongoing_requests + OVERFLOW_THREADS)
        self.models = HeldModels(self.crossing, self._tell_models)
        self.surroundings = Surroundings(context, self.loop, self.turns, self.models, mesh)
        self._hooks = Hooks(self.surroundings, self.crossing)
        self._configured = Configured(user_code, self._hooks, config.user_config_json)
        self._health = HealthChecks(user_code, self._hooks, config)
        self._stuck_turn = StuckTurn(lambda: self._all_work, config)
        self._sessions: set[ReplicaSession] = set()
        self._ended: set[ReplicaSession] = set()
        """Sessions that are over and have work that is not."""
        self._lapsing: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._next_deadline = NEVER
        self._lifespan: Lifespan | None = None
        self._fewer = asyncio.Event()
        """There is no call left, or one session less."""

    async def build(self) -> None:
        """Build the user's object on the turn, start its application if it has one, configure it, ask it how it is.

        Raises :class:`sidecar.user_code.ConstructionFailed`.
        """
        await self._hooks.on_turn(self.user_code.build)
        await self._start_application()
        await self._configured.begin()
        await self._health.begin()

    async def _start_application(self) -> None:
        if self.user_code.application is not None:
            self._lifespan = Lifespan(self.user_code.application, self.user_code.application_state)
            try:
                await self._lifespan.start()
            except RuntimeError as error:
                raise ConstructionFailed(error) from error

    @property
    def condition(self) -> Condition:
        """How the user's object is."""
        configured = self._configured
        health: HealthChecks | StuckTurn = self._health
        if self._stuck_turn.failed_in_a_row > health.failed_in_a_row:
            health = self._stuck_turn
        return Condition(
            configured.taken, configured.refused, configured.refusal, health.failed_in_a_row, health.failure
        )

    @asynccontextmanager
    async def looked_after(self, tell: Callable[[], object]) -> AsyncIterator[None]:
        """While inside, new user configs are taken and health is checked; ``tell`` hears of every new condition."""
        async with self._configured.followed(tell), self._health.repeated(tell), self._stuck_turn.watched(tell):
            yield

    def configure(self, config: DeploymentConfig) -> None:
        """Take over new settings; nothing restarts."""
        self.admission.limit = config.max_ongoing_requests
        self.turns.resize(config.threads, config.max_ongoing_requests + OVERFLOW_THREADS)
        self._configured.wish(config.user_config_json)
        self._health.config = self._stuck_turn.config = config
        self._hand_out()

    async def wait_configured(self) -> None:
        """Until the user's object has taken, or refused, the user_config of the last settings."""
        await self._configured.wait_settled()

    def joined(self, session: ReplicaSession) -> None:
        """A session was opened."""
        self._sessions.add(session)
        if self.models.ids:
            session.tell_models(self.models.ids)
        if self.admission.draining:
            session.drain()

    def lost(self, session: ReplicaSession) -> None:
        """A session is over."""
        self._sessions.discard(session)
        if session.work:
            self._ended.add(session)
        self.admission.forget(session)
        self._fewer.set()

    def _tell_models(self) -> None:
        for session in self._sessions:
            session.tell_models(self.models.ids)

    def left(self, session: ReplicaSession) -> None:
        """A call of that session has ended and its slot is free."""
        self.admission.leave()
        if self._ended and not session.work:
            self._ended.discard(session)
        if self.admission.is_awaited:
            self._hand_out()
        if not self.admission.ongoing:
            self._fewer.set()

    def caller_waits(self, session: ReplicaSession) -> None:
        """A caller has said whether calls wait there for room."""
        self.admission.wait(session, session.end.caller_waits)
        self._hand_out()

    def _hand_out(self) -> None:
        """Tell those who wait for room, or were rejected, of what there is."""
        told = self.admission.hand_out(monotonic())
        if self.admission.promises.total and self._lapsing is None:
            self._lapsing = self.loop.call_later(PROMISE_S, self._lapse)
        for session in told:
            session.end.owes_batch = True
            session.wake()

    def _lapse(self) -> None:
        """Promises that nobody has come for are given to others."""
        self._lapsing = None
        promises, now_s = self.admission.promises, monotonic()
        promises.lapse(now_s)
        if promises.total:
            left_s = promises.oldest_s + PROMISE_S - now_s
            self._lapsing = self.loop.call_later(max(SHORTEST_TIMER_S, left_s), self._lapse)
        self._hand_out()

    def watch_deadline(self, deadline: float) -> None:
        """Some call has this deadline."""
        if deadline < self._next_deadline:
            if self._sweeping is not None:
                self._sweeping.cancel()
            self._sweep_at(deadline)

    def _sweep_at(self, deadline: float) -> None:
        self._next_deadline = deadline
        self._sweeping = self.loop.call_later(max(SWEEP_S, deadline - monotonic()), self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._next_deadline = NEVER
        work = self._all_work
        now_s = monotonic()
        for one in work:
            if one.expires_at <= now_s:
                one.expire()
        deadline = min((one.expires_at for one in work), default=NEVER)
        if deadline != NEVER:
            self._sweep_at(deadline)

    @property
    def _all_work(self) -> list[Work]:
        return [work for session in (*self._sessions, *self._ended) for work in session.work.values()]

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, end what was begun; what is left after ``timeout_s`` seconds is cancelled."""
        self.admission.draining = True
        for session in self._sessions:
            session.drain()
        if not await self._wait(lambda: self.admission.ongoing == 0, timeout_s):
            for work in self._all_work:
                work.cancelled()
            await self._wait(lambda: self.admission.ongoing == 0, LAST_ANSWERS_S)
        await self._wait(lambda: not self._sessions, LAST_ANSWERS_S)
        if self._lifespan is not None:
            await self._lifespan.stop()

    def close(self) -> None:
        """Let the user's object and the threads go, in a process that goes on."""
        self.user_code.close()
        self.turns.close()

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on calls and sessions; False when it took too long."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._fewer.clear()
                    await self._fewer.wait()
        except TimeoutError:
            return False
        return True
