"""Replicas without processes: the other ends of a router's sessions, joined to them in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple

from mesh.carrier import Carrier, Passenger
from mesh.config import DeploymentConfig
from mesh.context import RequestContext, encode_call_context
from mesh.error_detail import decode_error, encode_error
from mesh.frames import ReplicaEnd
from mesh.payload import PICKLE, Payload
from mesh.router.call import Call
from mesh.router.endpoints import Endpoint
from mesh.router.item_stream import ItemStream
from mesh.router.router import Router
from mesh.v1 import endpoint_pb2
from mesh.v1.deployment_pb2 import METHOD_KIND_DEF, Method
from mesh.v1.replica_pb2 import CallContext, SessionRequest


class Asked(NamedTuple):
    """A call that has come to a replica."""

    call_id: int
    body: bytes
    timeout_ms: int
    model_id: str = ""


class ReplicaInMemory:
    """A replica that takes at most ``limit`` calls at once and answers when the test says so."""

    def __init__(self, replica_id: str, limit: int = 100) -> None:
        self.replica_id = replica_id
        self.limit = limit
        self.asked: list[Asked] = []
        """All calls that it took, in their order."""
        self.working: set[int] = set()
        self.rejections = 0
        self.cancelled: list[int] = []
        self.sessions = 0
        self.ongoing_elsewhere = 0
        self.is_stuck = False
        """Nothing is read from the caller: what it writes counts as sent and is lost."""
        self._end = ReplicaEnd(self)
        self._carrier: _CarrierInMemory | None = None

    def carry(self, passenger: Passenger) -> Carrier:
        """A carrier to this replica, as a router asks for it."""
        self.sessions += 1
        self._end = ReplicaEnd(self)
        self._carrier = _CarrierInMemory(self, passenger)
        return self._carrier

    def receive(self, batch: bytes) -> None:
        """Take in what the carrier brings."""
        if not self.is_stuck:
            self._end.receive(SessionRequest.FromString(batch))
            self._flush()

    # What the replica's end says.

    def opened(
        self,
        call_id: int,
        method: str,
        encoding: int,
        body: bytes,
        timeout_ms: int,
        request_id: str,
        context: bytes,
        items_follow: bool,
    ) -> _Taken | None:
        if len(self.working) >= self.limit and self.replica_id not in CallContext.FromString(context).chain:
            self.rejections += 1
            self._end.reject(call_id)
            return None
        self.asked.append(Asked(call_id, body, timeout_ms, CallContext.FromString(context).model_id))
        self.working.add(call_id)
        return _Taken(self, call_id)

    # What a test does.

    @property
    def bodies(self) -> list[bytes]:
        """What it was asked, in order."""
        return [asked.body for asked in self.asked]

    def answer(self, body: bytes) -> None:
        """Answer the call that brought ``body``, with the same."""
        call_id = next(asked.call_id for asked in self.asked if asked.body == body and asked.call_id in self.working)
        self.working.discard(call_id)
        self._end.reply(call_id, PICKLE, body)
        self._flush()

    def send_item(self, body: bytes, item: bytes) -> None:
        """Answer the call that brought ``body`` with an item, of which there may be more."""
        call_id = next(asked.call_id for asked in self.asked if asked.body == body and asked.call_id in self.working)
        self._end.send_item(call_id, PICKLE, item)
        self._flush()

    def fail(self, body: bytes, error: Exception) -> None:
        """End the call that brought ``body`` by an exception of the user's code."""
        call_id = next(asked.call_id for asked in self.asked if asked.body == body and asked.call_id in self.working)
        self.working.discard(call_id)
        self._end.error(call_id, encode_error(error))
        self._flush()

    def tell_room(self) -> None:
        """Send the empty batch that a replica owes to those whom it has rejected."""
        self._end.owes_batch = True
        self._flush()

    def tell_models(self, *model_ids: str) -> None:
        """Say which models it holds."""
        self._end.models = model_ids
        self._flush()

    def drain(self) -> None:
        """Say that nothing new is taken."""
        self._end.draining = self._end.owes_batch = True
        self._flush()

    def cut(self) -> None:
        """End the stream, as the death of the process does."""
        self.working.clear()
        assert self._carrier is not None
        self._carrier.close()

    def _flush(self) -> None:
        while (batch := self._end.take(self.ongoing_elsewhere)) is not None:
            assert self._carrier is not None
            self._carrier.bring(batch.SerializeToString())


class _CarrierInMemory:
    """Carries within one loop, each way in the next tick."""

    is_local = False

    def __init__(self, replica: ReplicaInMemory, passenger: Passenger) -> None:
        self._replica = replica
        self._passenger = passenger
        self._is_lost = False
        self._loop = asyncio.get_running_loop()
        self.wake()

    def wake(self) -> None:
        self._loop.call_soon(self._send)

    def bring(self, batch: bytes) -> None:
        """Something for the passenger."""
        self._loop.call_soon(self._deliver, batch)

    def close(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._passenger.lost(None)

    def _send(self) -> None:
        while not self._is_lost and (batch := self._passenger.take()) is not None:
            self._replica.receive(batch)

    def _deliver(self, batch: bytes) -> None:
        if not self._is_lost:
            self._passenger.arrived(batch)


class _Taken:
    """A call that a replica in memory works on."""

    def __init__(self, replica: ReplicaInMemory, call_id: int) -> None:
        self._replica = replica
        self._call_id = call_id

    def item(self, encoding: int, body: bytes) -> None: ...
    def half_closed(self) -> None: ...
    def credited(self) -> None: ...

    def cancelled(self) -> None:
        self._replica.cancelled.append(self._call_id)


class Asker:
    """Waits for a call, and remembers what it was told."""

    read_error = staticmethod(decode_error)

    def __init__(self) -> None:
        self.times_routed = 0
        self.result: Payload | ItemStream | BaseException | None = None

    def routed(self) -> None:
        self.times_routed += 1

    def ended(self, result: Payload | ItemStream | BaseException) -> None:
        assert self.result is None, "a call ended twice"
        self.result = result

    @property
    def body(self) -> bytes | None:
        """The answer's bytes; None while there is none. Raises what the call ended with."""
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result.body if isinstance(self.result, Payload) else None


class Asking:
    """A router over replicas in memory; :meth:`close_all` ends the sessions of all that a test has made."""

    made: ClassVar[list[Asking]] = []

    def __init__(
        self, *replicas: ReplicaInMemory, tell_demand: Callable[[Router], None] = lambda _: None, **settings: Any
    ) -> None:
        self.replicas = {replica.replica_id: replica for replica in replicas}
        self.router = Router("default", "Model", self._carry, lambda _: None, tell_demand)
        self.made.append(self)
        if replicas:
            self.apply(replicas, **settings)

    @classmethod
    async def close_all(cls) -> None:
        """Close the routers, and let their sessions end."""
        while cls.made:
            cls.made.pop().router.close()
        await settle()

    def _carry(self, endpoint: Endpoint, passenger: Passenger) -> Carrier:
        return self.replicas[endpoint.address].carry(passenger)

    def apply(self, replicas: Iterable[ReplicaInMemory], **settings: Any) -> None:
        """Give the router a full endpoint set."""
        self.replicas |= {replica.replica_id: replica for replica in replicas}
        endpoints = [endpoint_pb2.Endpoint(replica_id=r.replica_id, address=r.replica_id) for r in replicas]
        self.router.apply(
            endpoint_pb2.EndpointSet(
                endpoints=endpoints,
                config=DeploymentConfig(**settings).to_proto(),
                methods=[Method(name=name, kind=METHOD_KIND_DEF) for name in ("__call__", "predict")],
            )
        )

    def delete(self) -> None:
        """Tell the router that the deployment is gone."""
        self.router.apply(endpoint_pb2.EndpointSet(deleted=True, message="there is no deployment 'Model'"))

    def ask(
        self,
        body: bytes = b"?",
        *,
        method: str = "predict",
        parent: RequestContext | None = None,
        retry_on_death: bool | None = None,
        timeout_s: float | None = None,
        model_id: str = "",
    ) -> Asker:
        """Make a call."""
        asker = Asker()
        call = Call(
            self.router,
            method,
            asker,
            parent,
            retry_on_death=retry_on_death,
            timeout_s=timeout_s,
            model_id=model_id,
        )
        call.payload = Payload(PICKLE, body)
        self.router.submit(call)
        return asker


def coming_from(*chain: str) -> RequestContext:
    """The context of a request that has come through these replicas."""
    return RequestContext("request", chain=chain, wire=encode_call_context("", chain, ""))


async def settle() -> None:
    """Let the tasks of this loop do all that they can do without anything from outside."""
    for _ in range(20):
        await asyncio.sleep(0)
