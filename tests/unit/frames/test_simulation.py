"""Both ends of a session joined in memory, 10,000 seeds: what holds for every call, however the session goes.

All sizes are a 64th of the real ones, so that full batches, parts and spent windows are everyday things.

The random parts are callers that open calls, give and consume items and cancel at any moment, a host that answers in
every way at any moment, a carrier that delivers when it likes, and a cut. What the ends have promised is checked in
the callbacks; when everything has ended, both ends must have forgotten everything.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import pytest

from mesh.frames import CallerEnd, ReplicaEnd, caller, end, limits, replica, stream
from mesh.frames.limits import item_cost
from mesh.segments.buffer import Buffer
from mesh.v1.payload_pb2 import ErrorDetail
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse
from tests.unit.frames.simulated_memory import EndSegments, Memory, contents

SEEDS = 10_000
GROUP = 500
STEPS = 200
FRAME_BYTES = limits.FRAME_BYTES // 64
SIZES = {
    "FRAME_BYTES": FRAME_BYTES,
    "BATCH_BYTES": 4 * FRAME_BYTES,
    "DIRECT_BYTES": 3 * FRAME_BYTES,
    "WINDOW": FRAME_BYTES,
    "ITEM_OVERHEAD": 16,
}
CONTROL_BYTES = 512
"""What ids, credits and tags may add to a batch of full frames."""

_blobs = Random(0)
MIDDLE = [_blobs.randbytes(_blobs.randint(100, FRAME_BYTES // 3)) for _ in range(20)]
LARGE = [_blobs.randbytes(int(FRAME_BYTES * n) + m) for n in (1, 1.3, 2, 3, 8, 15) for m in (-1, 0, 1)]


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (limits, stream, end, caller, replica):
        for name in SIZES.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, SIZES[name])


class Received(NamedTuple):
    """An item that is not consumed yet."""

    body: bytes
    buffers: Sequence[Buffer]

    @property
    def size_bytes(self) -> int:
        return len(self.body) + sum(buffer.size_bytes for buffer in self.buffers)

    @property
    def cost(self) -> int:
        return item_cost(self.size_bytes)


class SimulatedCall:
    """What a caller knows of its call, and what it has been told."""

    model_id = ""

    def __init__(self, session: SimulatedSession, number: int) -> None:
        self.session = session
        self.number = number
        self.body = session.payload(number)
        self.contents = session.contents()
        self.buffers = session.memory.lend(self.contents)  # until it is over: it may have to be sent again
        self.items_follow = session.chance(0.3)
        self.call_id = 0
        self.given: list[tuple[int, bytes, list[bytes]]] = []
        self.bulky = session.chance(0.2)
        self.left_to_give = int(session.random() * 25) if self.items_follow else 0
        self.half_closed = not self.items_follow
        self.wants_credit = False
        self.received = 0
        self.unconsumed: deque[Received] = deque()
        self.unconsumed_cost = 0
        self.slow = session.chance(0.3)
        self.result_buffers: Sequence[Buffer] = ()
        self.outcome = ""
        self.cancelled = False
        self.withdrawn = False
        self.work: SimulatedWork | None = None

    def _tell(self) -> None:
        assert not self.cancelled, f"call {self.number} was told something after it was cancelled"
        assert not self.outcome, f"call {self.number} was told something after it was {self.outcome}"

    def _end(self, outcome: str) -> None:
        self._tell()
        self.outcome = outcome
        self.buffers = ()

    def replied(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        self._end("replied")
        assert self.work is not None
        assert self.work.ending == "reply"
        assert (encoding, body, contents(buffers)) == self.work.result
        self.result_buffers = buffers if self.slow else ()

    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        self._tell()
        assert self.work is not None
        item = (encoding, body, contents(buffers))
        assert item == self.work.sent[self.received], f"call {self.number} got another item than was sent"
        assert self.unconsumed_cost < limits.WINDOW, f"call {self.number} got more than its window"
        self.received += 1
        self.unconsumed.append(Received(body, buffers))
        self.unconsumed_cost += self.unconsumed[-1].cost

    def ended(self) -> None:
        self._end("ended")
        assert self.work is not None
        assert self.work.ending == "end"
        assert self.received == len(self.work.sent), f"call {self.number} misses items"

    def failed(self, detail: ErrorDetail) -> None:
        self._end("failed")
        assert self.work is not None
        if self.session.fails and "shared memory" in detail.message:
            return
        assert detail == self.work.failure
        assert self.received == len(self.work.sent), f"call {self.number} misses items before its error"

    def rejected(self) -> None:
        self._tell()
        assert self.work is None, f"call {self.number} was rejected and ran"
        if not self.session.over and not self.given and self.session.chance(0.5):
            self.half_closed = not self.items_follow
            self.open()  # once more, from inside the callback
        else:
            self._end("rejected")

    def credited(self) -> None:
        self._tell()
        self.wants_credit = False

    def cut(self) -> None:
        self._end("cut")

    def open(self) -> None:
        self.call_id = self.session.caller.open(
            self,
            self.method,
            self.encoding,
            self.body,
            self.number,
            str(self.number),
            self.context,
            self.items_follow,
            self.buffers,
        )

    @property
    def method(self) -> str:
        return ("__call__", "predict", "stream")[self.number % 3]

    @property
    def encoding(self) -> int:
        return 5 if self.number % 7 == 0 else 1

    @property
    def context(self) -> bytes:
        return b"context" if self.number % 5 == 0 else b""

    def step(self) -> bool:
        """Do one thing that a caller does; False when there is nothing left to do."""
        caller = self.session.caller
        if self.unconsumed and not (self.slow and self.session.chance(0.7)):
            received = self.unconsumed.popleft()
            self.unconsumed_cost -= received.cost
            caller.consumed(self.call_id, received.size_bytes)
            return True
        if self.result_buffers and not (self.slow and self.session.chance(0.7)):
            self.result_buffers = ()
            return True
        if self.outcome or self.cancelled or self.wants_credit:
            return bool(self.unconsumed)
        if self.left_to_give:
            if self.number % 2 and not caller.writable(self.call_id):
                self.wants_credit = True
                return False
            self.left_to_give -= 1
            item = self.session.item(self.left_to_give, self.bulky)
            self.given.append(item)
            caller.send_item(self.call_id, item[0], item[1], self.session.memory.lend(item[2]))
            return True
        if not self.half_closed:
            self.half_closed = True
            caller.half_close(self.call_id)
            return True
        return bool(self.unconsumed)

    def cancel(self) -> None:
        caller = self.session.caller
        caller.cancel(self.call_id)
        self.buffers = ()
        if not self.outcome:
            self.cancelled = True
            self.withdrawn = self.call_id not in caller.calls


class SimulatedWork:
    """User code of any kind that runs for one call."""

    def __init__(self, session: SimulatedSession, call_id: int, call: SimulatedCall, buffers: Sequence[Buffer]) -> None:
        self.arguments = buffers
        self.session = session
        self.call_id = call_id
        self.call = call
        self.ending = ("reply", "end", "error")[int(session.random() * 3)]
        self.bulky = session.chance(0.2)
        self.left_to_send = 0 if self.ending == "reply" else int(session.random() * 25)
        self.late = session.chance(0.3)
        self.attentive = call.items_follow and session.chance(0.5)
        self.patient = session.chance(0.7)
        self.stubborn = session.chance(0.5)
        self.sent: list[tuple[int, bytes, list[bytes]]] = []
        self.result: tuple[int, bytes, list[bytes]] = (0, b"", [])
        self.failure: ErrorDetail | None = None
        self.over = False
        self.cancelled_times = 0
        self.wants_credit = False
        self.received = 0
        self.no_more = False
        self.unconsumed: deque[Received] = deque()
        self.credit = 0
        if call.items_follow:
            self.credit = limits.WINDOW if session.chance(0.7) else limits.WINDOW // 2
            session.replica.give_credit(call_id, self.credit)

    def item(self, encoding: int, body: bytes, buffers: Sequence[Buffer] = ()) -> None:
        assert not self.cancelled_times
        assert not self.no_more
        assert (encoding, body, contents(buffers)) == self.call.given[self.received], (
            "the host got another item than was sent"
        )
        assert self.credit > 0, f"the host of call {self.call.number} got more than it gave credit for"
        self.received += 1
        self.unconsumed.append(Received(body, buffers))
        self.credit -= self.unconsumed[-1].cost

    def half_closed(self) -> None:
        assert not self.cancelled_times
        assert not self.no_more, "half-closed twice"
        assert self.call.half_closed
        assert self.received == len(self.call.given), f"the host of call {self.call.number} misses items"
        self.no_more = True

    def credited(self) -> None:
        assert not self.cancelled_times
        self.wants_credit = False

    def cancelled(self) -> None:
        assert not self.over, "code that has ended was cancelled"
        self.cancelled_times += 1
        assert self.cancelled_times == 1
        self.wants_credit = False

    def step(self) -> bool:
        """Do one thing that user code does; False when it waits or is over."""
        replica = self.session.replica
        if self.unconsumed:
            received = self.unconsumed.popleft()
            self.credit += received.cost
            replica.consumed(self.call_id, received.size_bytes)
            return True
        if self.arguments and self.session.chance(0.2):
            self.arguments = ()
            return True
        if self.over or self.wants_credit:
            return False
        if self.late and not self.session.settling:
            return False
        if self.attentive and not (self.no_more or self.cancelled_times):
            return False
        if self.left_to_send and (self.stubborn or not self.cancelled_times):
            if self.patient and not self.cancelled_times and not replica.writable(self.call_id):
                self.wants_credit = True
                return False
            self.left_to_send -= 1
            item = self.session.item(self.left_to_send, self.bulky)
            if not self.cancelled_times:
                self.sent.append(item)
            replica.send_item(self.call_id, item[0], item[1], self.session.memory.lend(item[2]))
            return True
        self.finish()
        return True

    def finish(self) -> None:
        replica = self.session.replica
        self.over = True
        self.arguments = ()
        if self.ending == "reply":
            self.result = encoding, body, large = self.session.item(self.call.number)
            replica.reply(self.call_id, encoding, body, self.session.memory.lend(large))
        elif self.ending == "end":
            replica.end(self.call_id)
        else:
            self.failure = ErrorDetail(message=f"failed {self.call.number}")
            replica.error(self.call_id, self.failure)


class SimulatedSession:
    """Two ends, the batches between them, and everything that happens to them for one seed. The host is this itself."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.random = self.rng.random
        self.caller = CallerEnd()
        self.replica = ReplicaEnd(self)
        self.requests: deque[bytes] = deque()
        self.responses: deque[bytes] = deque()
        self.calls: list[SimulatedCall] = []
        self.works: list[SimulatedWork] = []
        self.over = False
        self.settling = False
        self.heavy = 0.1 if self.chance(0.5) else 0.02
        self.memory = Memory()
        self.released: set[tuple[type, int]] = set()
        self.large = 0.2 if self.chance(0.5) else 0.0
        self.fails = self.chance(0.1)
        self.segments = {
            one: EndSegments(self.memory, self.rng, self.chance(0.9), self.fails) for one in (self.caller, self.replica)
        }
        if self.large:
            for one, segments in self.segments.items():
                if self.chance(0.9):
                    one.share(segments)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def payload(self, number: int, bulky: bool = False) -> bytes:
        dice = self.random()
        if dice > 0.3 and not bulky:
            return b"%d" % number * int(self.random() * 40)
        if dice > self.heavy:
            return MIDDLE[int(self.random() * len(MIDDLE))]
        return LARGE[int(self.random() * len(LARGE))]

    def contents(self) -> list[bytes]:
        """The large buffers of one payload; most have none."""
        count = 0 if self.random() >= self.large else 1 + int(self.random() * 2)
        return [LARGE[int(self.random() * len(LARGE))] for _ in range(count)]

    def item(self, number: int, bulky: bool = False) -> tuple[int, bytes, list[bytes]]:
        return 1 + number % 2, self.payload(number, bulky), self.contents()

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
        buffers: Sequence[Buffer] = (),
    ) -> SimulatedWork | None:
        call = self.calls[int(request_id)]
        assert (call_id, method, encoding, timeout_ms) == (call.call_id, call.method, call.encoding, call.number)
        assert (body, context, items_follow) == (call.body, call.context, call.items_follow)
        assert contents(buffers) == call.contents
        assert call.work is None, f"call {call.number} ran twice"
        assert not call.withdrawn, f"call {call.number} was cancelled before it was sent, and ran"
        if self.replica.draining or self.chance(0.1):
            self.replica.reject(call_id)
            return None
        call.work = work = SimulatedWork(self, call_id, call, buffers)
        if work.ending == "reply" and not work.attentive and self.chance(0.3):
            work.finish()
            return work if self.chance(0.5) else None
        self.works.append(work)
        return work

    def run(self) -> None:
        cut_at = int(self.random() * STEPS) if self.chance(0.5) else STEPS
        acts = (self.act_caller, self.act_caller, self.act_caller, self.act_host, self.act_host, self.act_host,
                self.release, self.open, self.cancel, self.deliver_request, self.deliver_response,
                self.send_request, self.send_response)  # fmt: skip
        sluggish = self.chance(0.3)
        for step in range(STEPS):
            if step == cut_at:
                self.cut()
            count = len(acts) - 2 if sluggish and step % 80 < 60 else len(acts)
            acts[int(self.random() * count)]()
            if step == STEPS // 2 and self.chance(0.1):
                self.replica.draining = True
        if self.chance(0.1):
            self.cut()
        self.settle()
        self.check()

    def open(self) -> None:
        if len(self.calls) < 20 and not self.over:
            call = SimulatedCall(self, len(self.calls))
            self.calls.append(call)
            call.open()

    def cancel(self) -> None:
        if self.chance(0.3):
            self._any(self.calls, SimulatedCall.cancel)

    def act_caller(self) -> None:
        self._any(self.calls, SimulatedCall.step)

    def act_host(self) -> None:
        self._any(self.works, SimulatedWork.step)
        if self.chance(0.05):
            self.replica.owes_batch = True

    def release(self) -> bool:
        """Tell the ends what is not in use any more."""
        busy = False
        for one, segments in self.segments.items():
            while segments.gone:
                one.release(segments.gone.popleft())
                busy = True
        return busy

    def _any(self, those: list[Any], act: Any) -> None:
        if those:
            act(those[int(self.random() * len(those))])

    def send_request(self) -> bool:
        batch = None if self.over else self.caller.take()
        if batch is None:
            return False
        self.requests.append(self._carried(batch, batch.open_payloads))
        assert self.requests[-1], "a batch without a frame"
        return True

    def send_response(self) -> bool:
        owed = self.replica.owes_batch
        batch = None if self.over else self.replica.take(len(self.works))
        if batch is None:
            return False
        self.responses.append(self._carried(batch, batch.reply_payloads))
        if len(self.responses[-1]) < 8 and not owed:
            frames = {field.name for field, _ in batch.ListFields()} - {"ongoing_elsewhere", "draining"}
            assert frames, "a batch without a frame"
        return True

    def _carried(self, batch: Any, payloads: Any) -> bytes:
        data: bytes = batch.SerializeToString()
        for number in (*batch.segment_news.released_ids, *batch.segment_news.spoilt_ids):
            assert (type(batch), number) not in self.released, f"offer {number} was released twice"
            self.released.add((type(batch), number))
        assert len(data) <= 5 * FRAME_BYTES + CONTROL_BYTES, f"a batch of {len(data)} bytes"
        if len(data) > FRAME_BYTES:
            assert all(len(payload) <= FRAME_BYTES for column in (payloads, batch.item_payloads) for payload in column)
        return data

    def deliver_request(self) -> bool:
        if not self.requests:
            return False
        self.replica.receive(SessionRequest.FromString(self.requests.popleft()))
        return True

    def deliver_response(self) -> bool:
        if not self.responses:
            return False
        batch = SessionResponse.FromString(self.responses.popleft())
        self.caller.receive(batch)
        assert self.caller.draining or not self.replica.draining or not batch.draining
        return True

    def cut(self) -> None:
        """Both ends learn of it at different moments; what is on its way is lost."""
        if self.over:
            return
        self.over = True
        self.requests.clear()
        self.responses.clear()
        ends = [self.caller.cut, self.replica.cut]
        self.rng.shuffle(ends)
        ends[0]()
        self.act_caller()
        self.act_host()
        ends[1]()

    def settle(self) -> None:
        """Let everybody do what is left to do, in any order, until nobody has anything left."""
        self.settling = True
        acts = [self.release, self.send_request, self.deliver_request, self.send_response, self.deliver_response]
        for _ in range(2_000):
            busy = False
            for act in acts:
                busy |= act()
            for one in (*self.works, *self.calls):
                busy |= one.step()
            if not busy:
                return
        raise AssertionError("does not come to an end")

    def check(self) -> None:
        for call in self.calls:
            assert call.outcome or call.cancelled, f"call {call.number} never ended"
            assert call.outcome != "cut" or self.over or self.fails
        for work in self.works:
            assert work.over, f"the host of call {work.call.number} still waits"
        for one in (self.caller, self.replica):
            left = {name: table for name, table in _tables(one) if table}
            assert not left, f"left over at the {type(one).__name__}: {left}"
        assert not self.memory.faults
        assert not self.memory.alive, f"{self.memory.alive} segments are left over"


def _tables(end: object) -> list[tuple[str, Any]]:
    """Whatever an end keeps, but the methods' names."""
    names = [name for kind in type(end).__mro__ for name in getattr(kind, "__slots__", ())]
    tables = [(name, getattr(end, name, None)) for name in names if name not in ("_methods", "_new_methods")]
    return [(name, table) for name, table in tables if isinstance(table, dict | list | deque | OrderedDict | set)]


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP), ids=lambda first: f"seeds {first} to {first + GROUP - 1}")
def test_every_call_ends_once_and_nothing_is_left(first: int) -> None:
    for seed in range(first, first + GROUP):
        try:
            SimulatedSession(seed).run()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
