"""A replica: the user's object, what it is working on, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from mesh.config import DeploymentConfig, DeploymentSpec
from mesh.deadline import NEVER
from mesh.loops import crossing_to
from sidecar.admission import Admission
from sidecar.lifespan import Lifespan
from sidecar.session import ReplicaSession
from sidecar.turns import Turns
from sidecar.user_code import ConstructionFailed, UserCode

SWEEP_S = 0.02
"""Deadlines are looked at when the next one has passed, but not more often than this."""
LAST_ANSWERS_S = 5.0
"""How long a replica that drains waits for cancelled calls to end, and for callers to take the last answers."""
OVERFLOW_THREADS = 16
"""Threads beside ``max_ongoing_requests`` for plain methods that wait for other calls."""


class Replica:
    """Lives on the loop that runs gRPC, which is also the loop of the user's ``async def`` methods."""

    def __init__(self, replica_id: str, spec: DeploymentSpec, user_code: UserCode) -> None:
        self.replica_id = replica_id
        self.loop = asyncio.get_running_loop()
        self.crossing = crossing_to(self.loop)
        self.user_code = user_code
        config = spec.config
        self.admission = Admission(replica_id, config.max_ongoing_requests)
        self.turns = Turns(replica_id, config.threads, config.max_ongoing_requests + OVERFLOW_THREADS)
        self._sessions: set[ReplicaSession] = set()
        self._owed: set[ReplicaSession] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self._next_deadline = NEVER
        self._lifespan: Lifespan | None = None
        self._fewer = asyncio.Event()
        """There is no call left, or one session less."""

    async def build(self) -> None:
        """Build the user's object on the turn, and start its application if it has one.

        Raises :class:`ConstructionFailed`.
        """
        built: asyncio.Future[None] = self.loop.create_future()

        def job() -> None:
            try:
                self.user_code.build()
            except BaseException as error:
                self.crossing.put(built.set_exception, error)
            else:
                self.crossing.put(built.set_result, None)

        self.turns.submit(job)
        await built
        if self.user_code.application is not None:
            self._lifespan = Lifespan(self.user_code.application, self.user_code.application_state)
            try:
                await self._lifespan.start()
            except RuntimeError as error:
                raise ConstructionFailed(error) from error

    def configure(self, config: DeploymentConfig) -> None:
        """Take over new settings; nothing restarts."""
        self.admission.limit = config.max_ongoing_requests
        self.turns.resize(config.threads, config.max_ongoing_requests + OVERFLOW_THREADS)
        self._tell_owed()

    def joined(self, session: ReplicaSession) -> None:
        """A session was opened."""
        self._sessions.add(session)
        if self.admission.draining:
            session.drain()

    def lost(self, session: ReplicaSession) -> None:
        """A session is over."""
        self._sessions.discard(session)
        self._owed.discard(session)
        self._fewer.set()

    def owe_batch(self, session: ReplicaSession) -> None:
        """A call of that session was rejected: it is told when there is room again."""
        self._owed.add(session)

    def left(self) -> None:
        """A call has ended and its slot is free."""
        self.admission.leave()
        if self._owed:
            self._tell_owed()
        if not self.admission.ongoing:
            self._fewer.set()

    def _tell_owed(self) -> None:
        if self.admission.has_room:
            for session in self._owed:
                session.end.owes_batch = True
                session.wake()
            self._owed.clear()

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
        work = [work for session in self._sessions for work in session.work.values()]
        now_s = monotonic()
        for one in work:
            if one.expires_at <= now_s:
                one.expire()
        deadline = min((one.expires_at for one in work), default=NEVER)
        if deadline != NEVER:
            self._sweep_at(deadline)

    async def drain(self, timeout_s: float) -> None:
        """Take nothing new, end what was begun; what is left after ``timeout_s`` seconds is cancelled."""
        self.admission.draining = True
        for session in self._sessions:
            session.drain()
        if not await self._wait(lambda: self.admission.ongoing == 0, timeout_s):
            for work in [work for session in self._sessions for work in session.work.values()]:
                work.cancelled()
            await self._wait(lambda: self.admission.ongoing == 0, LAST_ANSWERS_S)
        await self._wait(lambda: not self._sessions, LAST_ANSWERS_S)
        if self._lifespan is not None:
            await self._lifespan.stop()

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
