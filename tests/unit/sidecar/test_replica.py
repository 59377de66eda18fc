from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, cast

import pytest

from mesh.config import DeploymentSpec, Runtime
from mesh.context import ReplicaContext
from mesh.deadline import NEVER
from sidecar.promises import LIFETIME_S
from sidecar.replica import SWEEP_S, Replica
from sidecar.session import ReplicaSession
from sidecar.user_code import UserCode


class Clockwork:
    """A loop, as far as timers are concerned: remembers in how many seconds each is due, and which were cancelled."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.cancelled = 0
        self.last: Callable[[], object] = lambda: None

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Clockwork:
        self.last = callback
        self.delays.append(delay_s)
        return self

    def cancel(self) -> None:
        self.cancelled += 1


async def _replica(loop: Any) -> Replica:
    spec = DeploymentSpec("app", "Model", Runtime("python", (), "/"), import_path="models:Model")
    replica = Replica(ReplicaContext("app", "Model", "Model#1", 0), spec, UserCode(spec, ""))
    replica.loop = loop
    return replica


async def test_deadlines_are_looked_at_when_the_next_one_has_passed_and_not_before() -> None:
    loop = Clockwork()
    replica = await _replica(loop)
    for left_s in (60.0, 90.0, 30.0, 45.0):
        replica.watch_deadline(monotonic() + left_s)
    assert loop.delays == [pytest.approx(60, abs=1), pytest.approx(30, abs=1)]
    assert loop.cancelled == 1


async def test_deadline_that_is_very_near_is_looked_at_with_others_of_its_time() -> None:
    loop = Clockwork()
    replica = await _replica(loop)
    replica.watch_deadline(monotonic() - 1)
    assert loop.delays == [SWEEP_S]


class Held:
    """A call whose code holds the turn, whoever waits for it."""

    is_in_vain = True
    method_name = "hold"
    expires_at = NEVER


class Silent:
    """A carrier that sends nothing."""

    def wake(self) -> None: ...


def _session(replica: Replica) -> ReplicaSession:
    session = ReplicaSession(replica)
    session.carrier = cast(Any, Silent())
    replica.joined(session)
    return session


async def test_work_of_a_caller_that_is_gone_is_looked_at_until_it_ends() -> None:
    replica = await _replica(Clockwork())
    session = _session(replica)
    assert replica.admission.enter((), session)
    session.work[1] = cast(Any, Held())
    session.lost(None)
    for now_s in (0.0, 1e6):
        replica._stuck_turn.look(now_s, lambda: None)
    assert replica.condition.check_failure.startswith("hold: still running")
    session.left(1)
    assert not replica._ended
    replica._stuck_turn.look(2e6, lambda: None)
    assert replica.condition.check_failure == ""


async def test_room_of_a_call_that_was_refused_is_offered_to_those_that_wait() -> None:
    replica = await _replica(Clockwork())
    refused, waiting = _session(replica), _session(replica)
    replica.admission.limit = 1
    replica.admission.promises.wait(waiting)
    refused.opened(1, "no_such_method", 0, b"", 0, "request", b"", items_follow=False)
    assert replica.admission.ongoing == 0
    assert replica.admission.promises.kept_from(refused) == 1


async def test_promises_are_looked_at_when_the_oldest_has_lapsed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, now_s = Clockwork(), 100.0
    monkeypatch.setattr("sidecar.replica.monotonic", lambda: now_s)
    replica = await _replica(loop)
    replica.admission.limit = 2
    first, second = _session(replica), _session(replica)
    replica.admission.promises.wait(first)
    replica.admission.limit = 1
    replica._hand_out()
    now_s += LIFETIME_S - 0.01
    replica.admission.promises.wait(second)
    replica.admission.limit = 3
    replica._hand_out()
    now_s += 0.01
    loop.last()
    assert loop.delays == [pytest.approx(LIFETIME_S), pytest.approx(LIFETIME_S - 0.01)]
