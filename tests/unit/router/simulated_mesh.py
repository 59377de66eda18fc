"""Callers and replicas in simulated time: real routers, sessions, frames and admission; only waiting is simulated.

Everything that happens is an event in one heap, so a run is the same every time for one seed, and ten seconds of load
take about as long as the routers need to decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from types import ModuleType
from typing import Any

import pytest

from mesh.carrier import Carrier, Passenger
from mesh.config import DeploymentConfig
from mesh.connect import TICK_S
from mesh.error_detail import encode_error
from mesh.frames import ReplicaEnd
from mesh.payload import PICKLE, Payload
from mesh.router import call, router, session
from mesh.router.call import Call
from mesh.router.endpoints import Endpoint
from mesh.router.item_stream import ItemStream
from mesh.router.router import Router
from mesh.v1 import endpoint_pb2
from mesh.v1.deployment_pb2 import METHOD_KIND_DEF, Method
from mesh.v1.payload_pb2 import ErrorDetail
from mesh.v1.replica_pb2 import SessionRequest
from sidecar.admission import Admission
from sidecar.promises import LIFETIME_S as PROMISE_S
from sidecar.service_time import ServiceTime

HOP_S = 0.0001
"""From one process to another."""
SETTLED_S = 1.0
"""After a load everything that was under way has ended."""
_MODULES: tuple[ModuleType, ...] = (router, call, session)


class World:
    """The time, and what happens when."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def after(self, delay_s: float, event: Callable[[], object]) -> None:
        """Have something happen later."""
        heappush(self._events, (self.now_s + delay_s, next(self._numbers), event))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end_s = self.now_s + seconds
        while self._events and self._events[0][0] <= end_s:
            self.now_s, _, event = heappop(self._events)
            event()
        self.now_s = end_s


class Replica:
    """Works for ``service_s()`` seconds on each call: on all at once, or on one after the other (``serial``)."""

    def __init__(self, world: World, replica_id: str, limit: int, service_s: Callable[[], float], *, serial: bool):
        self.world = world
        self.replica_id = replica_id
        self.service_s = service_s
        self.serial = serial
        self.raises = False
        """Calls end at once, with an exception of the user's code."""
        self.admission: Admission[_AtReplica] = Admission(replica_id, limit)
        self.service_time = ServiceTime()
        self.calls = 0
        self.rejections = 0
        self.batches_without_frames = 0
        """Batches that came only to say whether calls wait for room."""
        self._busy_until_s = 0.0

    def carry(self, passenger: Passenger) -> Carrier:
        """A carrier to it."""
        return _Carrier(self, passenger)

    def begin(self, session: _AtReplica, call_id: int) -> None:
        """A call was admitted."""
        self.calls += 1
        session.working += 1
        took_s = 0.0001 if self.raises else self.service_s()
        begun_s = max(self.world.now_s, self._busy_until_s) if self.serial else self.world.now_s
        self._busy_until_s = begun_s + took_s
        self.world.after(begun_s + took_s - self.world.now_s, lambda: self._end(session, call_id, took_s))

    def _end(self, session: _AtReplica, call_id: int, took_s: float) -> None:
        if self.raises:
            session.end.error(call_id, _BROKEN)
        else:
            self.service_time.note(took_s, self.world.now_s)
            session.end.reply(call_id, PICKLE, b"")
        session.working -= 1
        self.admission.leave()
        self.hand_out()
        session.wake()

    def hand_out(self) -> None:
        """Tell those who wait for room, or were rejected, of what there is."""
        promised = self.admission.promises.total
        told = self.admission.hand_out(self.world.now_s)
        if self.admission.promises.total > promised:
            self.world.after(PROMISE_S, self._lapse)
        for one in told:
            one.end.owes_batch = True
            one.wake()

    def _lapse(self) -> None:
        self.admission.promises.lapse(self.world.now_s)
        self.hand_out()


class _AtReplica:
    """The replica's end of one session."""

    def __init__(self, replica: Replica, carrier: _Carrier) -> None:
        self.end = ReplicaEnd(self)
        self.working = 0
        self._replica = replica
        self._carrier = carrier

    def receive(self, batch: bytes) -> None:
        waited = self.end.caller_waits
        request = SessionRequest.FromString(batch)
        self.end.receive(request)
        request.ClearField("waits")
        self._replica.batches_without_frames += request == _NO_FRAMES
        if waited or self.end.caller_waits:
            self._replica.admission.wait(self, self.end.caller_waits)
            self._replica.hand_out()
        self.wake()

    def wake(self) -> None:
        admission = self._replica.admission
        elsewhere = admission.ongoing - self.working + admission.promises.kept_from(self)
        while (batch := self.end.take(elsewhere)) is not None:
            batch.service_time_us = self._replica.service_time.recent_us
            self._carrier.bring(batch.SerializeToString())

    def opened(self, call_id: int, *_: Any) -> None:
        if self._replica.admission.enter((), self):
            self._replica.begin(self, call_id)
        else:
            self.end.reject(call_id)
            self._replica.rejections += 1


class _Carrier:
    """Takes a hop's time each way; what is said in one moment goes together."""

    is_local = False

    def __init__(self, replica: Replica, passenger: Passenger) -> None:
        self._world = replica.world
        self._passenger = passenger
        self._at_replica = _AtReplica(replica, self)
        self._is_scheduled = False

    def wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._world.after(0.0, self._send)

    def bring(self, batch: bytes) -> None:
        self._world.after(HOP_S, lambda: self._passenger.arrived(batch))

    def close(self) -> None: ...

    def _send(self) -> None:
        self._is_scheduled = False
        while (batch := self._passenger.take()) is not None:
            self._world.after(HOP_S, lambda batch=batch: self._at_replica.receive(batch))  # type: ignore[misc]


@dataclass
class Ended:
    """One call: when it was made, how long it took, and whether it was answered."""

    created_s: float
    took_s: float
    is_answered: bool


@dataclass
class Caller:
    """One process that calls: a router, and what became of its calls."""

    router: Router
    world: World
    ended: list[Ended] = field(default_factory=list)
    made: int = 0
    to_come: int = 0
    """Calls that are made one by one when others end, a hop later."""

    def make_call(self) -> None:
        """One call, at this moment."""
        self.made += 1
        one = Call(self.router, "predict", _Ending(self), None)
        one.payload = Payload(PICKLE, b"?")
        self.router.submit(one)

    def tick(self) -> None:
        self.router.tick(self.world.now_s)
        self.world.after(TICK_S, self.tick)


class _Ending:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._created_s = caller.world.now_s

    def read_error(self, _: ErrorDetail) -> BaseException:
        return RuntimeError("the replica said so")

    def routed(self) -> None: ...

    def ended(self, result: Payload | ItemStream | BaseException) -> None:
        took_s = self._caller.world.now_s - self._created_s
        self._caller.ended.append(Ended(self._created_s, took_s, isinstance(result, Payload)))
        if self._caller.to_come:
            self._caller.to_come -= 1
            self._caller.world.after(HOP_S, self._caller.make_call)


class Simulation:
    """Replicas whose calls take ``service_s`` seconds, and callers with Poisson arrivals. Seeded."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        service_s: list[float],
        *,
        callers: int = 1,
        limit: int = 5,
        serial: bool = False,
        seed: int = 1,
        **settings: Any,
    ) -> None:
        self.world = World()
        self.random = Random(seed)
        for module in _MODULES:
            monkeypatch.setattr(module, "monotonic", lambda: self.world.now_s)
        monkeypatch.setattr(router, "random", self.random.random)
        self.replicas = [
            Replica(self.world, f"Model#{i}", limit, lambda seconds=seconds: seconds, serial=serial)  # type: ignore[misc]
            for i, seconds in enumerate(service_s)
        ]
        by_id = {replica.replica_id: replica for replica in self.replicas}

        def carry(endpoint: Endpoint, passenger: Passenger) -> Carrier:
            return by_id[endpoint.replica_id].carry(passenger)

        self.callers = [Caller(Router("app", "Model", carry, lambda _: None), self.world) for _ in range(callers)]
        config = DeploymentConfig(max_ongoing_requests=limit, **settings).to_proto()
        endpoints = [endpoint_pb2.Endpoint(replica_id=replica_id, address="-") for replica_id in by_id]
        methods = [Method(name="predict", kind=METHOD_KIND_DEF)]
        for caller in self.callers:
            caller.router.apply(endpoint_pb2.EndpointSet(endpoints=endpoints, config=config, methods=methods))
            self.world.after(self.random.random() * TICK_S, caller.tick)

    def load(self, rate: float, seconds: float) -> list[Ended]:
        """``rate`` calls a second, spread evenly over the callers; those that ended, when all have."""
        before = [len(caller.ended) for caller in self.callers]
        each = rate / len(self.callers)
        for caller in self.callers:
            self.arrive(caller, each, self.world.now_s + seconds)
        self.world.run(seconds + SETTLED_S)
        return [one for caller, n in zip(self.callers, before, strict=True) for one in caller.ended[n:]]

    def arrive(self, caller: Caller, rate: float, until_s: float) -> None:
        """Poisson arrivals at one caller."""

        def arrive() -> None:
            caller.make_call()
            plan()

        def plan() -> None:
            delay_s = self.random.expovariate(rate)
            if self.world.now_s + delay_s < until_s:
                self.world.after(delay_s, arrive)

        plan()


def percentile(ended: list[Ended], share: float) -> float:
    """Of the time of the calls that were answered, in milliseconds."""
    times = sorted(one.took_s for one in ended if one.is_answered)
    return times[min(len(times) - 1, int(share * len(times)))] * 1000


_NO_FRAMES = SessionRequest()
_BROKEN = encode_error(RuntimeError("the device is broken"))
