"""Situations of a router, over replicas in memory: who gets a call, who waits, and how every call ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mesh import errors
from mesh.context import RequestContext
from mesh.payload import PICKLE, Payload
from mesh.router import candidate
from mesh.router.ejection import ERRORS, FIRST_EJECTION_S
from mesh.router.item_stream import ItemStream
from mesh.testing import FakeClock
from tests.unit.router.replica_in_memory import Asker, Asking, ReplicaInMemory, coming_from, settle


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The time of the router."""
    clock = FakeClock(1000.0)
    for module in ("router", "call", "session"):
        monkeypatch.setattr(f"mesh.router.{module}.monotonic", clock.now_s)
    return clock


@pytest.fixture(autouse=True)
async def sessions_end() -> AsyncIterator[None]:
    """No session outlives the loop of its test."""
    yield
    await Asking.close_all()


def _replicas(count: int, limit: int = 100) -> list[ReplicaInMemory]:
    return [ReplicaInMemory(f"Model#{letter}", limit) for letter in "abcdefgh"[:count]]


def _ended_with(asker: Asker) -> type[BaseException]:
    assert isinstance(asker.result, BaseException), asker.result
    return type(asker.result)


# --- one call


async def test_call_goes_to_the_replica_and_its_answer_comes_back() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)
    asker = asking.ask(b"x")
    await settle()
    assert (asker.times_routed, asker.body, replica.bodies) == (1, None, [b"x"])
    replica.answer(b"x")
    await settle()
    assert asker.body == b"x"


async def test_call_of_a_public_door_leaves_nothing_to_the_collector() -> None:
    (replica,) = _replicas(1)
    future = Asking(replica).router.call("__call__", Payload(PICKLE, b"x"), RequestContext("id"))
    await settle()
    replica.answer(b"x")
    assert (await future).body == b"x"  # type: ignore[union-attr]
    await settle()
    gc.disable()
    try:
        known = weakref.ref(future)
        del future
        assert known() is None
    finally:
        gc.enable()


async def test_error_of_the_users_code_comes_back_as_it_is() -> None:
    (replica,) = _replicas(1)
    asker = Asking(replica).ask(b"x")
    await settle()
    replica.fail(b"x", LookupError("no such thing"))
    await settle()
    assert _ended_with(asker) is LookupError


async def test_error_of_the_users_code_that_says_rejected_is_not_routed_again() -> None:
    """Only the kind of the frame says that a replica has not begun."""
    replicas = _replicas(2)
    asking = Asking(*replicas)
    asker = asking.ask(b"x")
    await settle()
    (replica,) = (replica for replica in replicas if replica.bodies)
    replica.fail(b"x", errors.RequestRejected("says the user's code"))
    await settle()
    assert _ended_with(asker) is errors.RequestRejected
    assert sum(len(replica.bodies) for replica in replicas) == 1


async def test_unknown_method_ends_at_once_and_names_those_that_there_are() -> None:
    asker = Asking(*_replicas(1)).ask(method="predcit")
    assert _ended_with(asker) is errors.MethodNotFound
    assert str(asker.result) == "Model has no method 'predcit', it has __call__, predict; did you mean 'predict'?"


async def test_one_session_carries_all_calls() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)
    for number in range(10):
        asking.ask(b"%d" % number)
    await settle()
    assert replica.sessions == 1
    assert len(replica.bodies) == 10


# --- the pick


async def test_sequential_calls_alternate_over_two_replicas() -> None:
    replicas = _replicas(2)
    asking = Asking(*replicas)
    order = []
    for number in range(6):
        asking.ask(b"%d" % number)
        await settle()
        for replica in replicas:
            if replica.working:
                order.append(replica.replica_id)
                replica.answer(b"%d" % number)
        await settle()
    assert order in (["Model#a", "Model#b"] * 3, ["Model#b", "Model#a"] * 3)


async def test_calls_under_way_are_spread_evenly() -> None:
    replicas = _replicas(2)
    asking = Asking(*replicas)
    for number in range(20):
        asking.ask(b"%d" % number)
    await settle()
    assert [len(replica.bodies) for replica in replicas] == [10, 10]


async def test_replica_that_is_busy_for_others_gets_less() -> None:
    replicas = _replicas(2)
    asking = Asking(*replicas)
    replicas[0].ongoing_elsewhere = 5
    for number in range(2):
        asking.ask(b"first %d" % number)
    await settle()
    for replica in replicas:
        replica.answer(replica.bodies[0])  # brings the load
    await settle()
    for number in range(4):
        asking.ask(b"%d" % number)
    await settle()
    assert [len(replica.working) for replica in replicas] == [0, 4]


async def test_many_replicas_all_get_their_share() -> None:
    replicas = _replicas(8)
    asking = Asking(*replicas)
    for number in range(400):
        asking.ask(b"%d" % number)
    await settle()
    counts = Counter({replica.replica_id: len(replica.bodies) for replica in replicas})
    assert max(counts.values()) - min(counts.values()) <= 10


# --- room


async def test_no_replica_is_given_more_than_its_limit_and_the_rest_waits_its_turn() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=2)
    askers = [asking.ask(b"%d" % number) for number in range(5)]
    await settle()
    assert replica.bodies == [b"0", b"1"]
    assert [asker.times_routed for asker in askers] == [1, 1, 0, 0, 0]
    replica.answer(b"1")
    await settle()
    assert replica.bodies == [b"0", b"1", b"2"]
    for number in (0, 2, 3, 4):
        replica.answer(b"%d" % number)
        await settle()
    assert [asker.body for asker in askers] == [b"0", b"1", b"2", b"3", b"4"]


async def test_beyond_the_queue_calls_are_rejected_and_named() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1, max_queued_requests=2)
    askers = [asking.ask(b"%d" % number) for number in range(5)]
    await settle()
    assert [asker.result is None for asker in askers] == [True, True, True, False, False]
    assert _ended_with(askers[3]) is errors.RequestRejected
    assert "max_queued_requests=2" in str(askers[3].result)
    assert "max_ongoing_requests=1" in str(askers[3].result)


async def test_without_a_queue_what_finds_no_room_is_rejected() -> None:
    asking = Asking(*_replicas(1), max_ongoing_requests=1, max_queued_requests=0)
    first, second = asking.ask(b"1"), asking.ask(b"2")
    await settle()
    assert first.result is None
    assert _ended_with(second) is errors.RequestRejected


async def test_no_endpoint_yet_is_waited_for() -> None:
    asking = Asking()
    asker = asking.ask(b"x")
    (replica,) = _replicas(1)
    asking.apply([replica])
    await settle()
    assert replica.bodies == [b"x"]
    assert asker.times_routed == 1


async def test_empty_endpoint_set_is_waited_for() -> None:
    asking = Asking()
    asking.apply([])
    asker = asking.ask(b"x")
    await settle()
    assert asker.result is None
    (replica,) = _replicas(1)
    asking.apply([replica])
    await settle()
    assert replica.bodies == [b"x"]


async def test_higher_limit_lets_in_those_who_wait() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    for number in range(3):
        asking.ask(b"%d" % number)
    asking.apply([replica], max_ongoing_requests=3)
    await settle()
    assert len(replica.bodies) == 3


# --- rejections by the replica


async def test_rejected_call_goes_to_another_replica() -> None:
    full, free = _replicas(2)
    full.limit = 0
    asking = Asking(full, free)
    askers = [asking.ask(b"%d" % number) for number in range(2)]
    await settle()
    assert full.rejections == 1
    assert sorted(free.bodies) == [b"0", b"1"]
    assert all(asker.result is None for asker in askers)


async def test_rejected_by_all_it_waits_and_is_asked_again_when_one_tells_of_room(clock: FakeClock) -> None:
    (replica,) = _replicas(1, limit=0)
    asking = Asking(replica)
    asker = asking.ask(b"x")
    await settle()
    assert (replica.rejections, replica.bodies) == (1, [])
    replica.limit = 1
    replica.tell_room()
    await settle()
    assert replica.bodies == [b"x"]
    assert asker.result is None


async def test_replica_that_rejects_is_left_alone_until_its_back_off_is_over(clock: FakeClock) -> None:
    (replica,) = _replicas(1, limit=0)
    asking = Asking(replica)
    asking.ask(b"x")
    await settle()
    asking.router.tick(clock.now_s())
    await settle()
    assert replica.rejections == 1
    replica.limit = 1
    clock.advance(candidate.FIRST_BACK_OFF_S)
    asking.router.tick(clock.now_s())
    await settle()
    assert replica.bodies == [b"x"]


async def test_rejected_calls_keep_their_order() -> None:
    (replica,) = _replicas(1, limit=0)
    asking = Asking(replica)
    for number in range(4):
        asking.ask(b"%d" % number)
    await settle()
    asking.ask(b"later")
    replica.limit = 100
    replica.tell_room()
    await settle()
    assert replica.bodies == [b"0", b"1", b"2", b"3", b"later"]


async def test_replica_that_drains_gets_nothing_more() -> None:
    draining, other = _replicas(2)
    asking = Asking(draining, other)
    for number in range(2):
        asking.ask(b"first %d" % number)
    await settle()
    draining.drain()
    await settle()
    for number in range(6):
        asking.ask(b"%d" % number)
    await settle()
    assert len(draining.bodies) == 1
    assert len(other.bodies) == 7


# --- replicas that come and go


async def test_replica_out_of_the_set_ends_what_it_has_and_gets_nothing_new() -> None:
    old, new = _replicas(2)
    asking = Asking(old)
    asker = asking.ask(b"old")
    await settle()
    asking.apply([new])
    asking.ask(b"new")
    await settle()
    assert (old.bodies, new.bodies) == ([b"old"], [b"new"])
    old.answer(b"old")
    await settle()
    assert asker.body == b"old"


async def test_session_to_a_replica_out_of_the_set_is_closed_when_its_last_call_ends(clock: FakeClock) -> None:
    old, new = _replicas(2)
    asking = Asking(old)
    asking.ask(b"x")
    await settle()
    asking.apply([new])
    asking.router.close_idle(clock.now_s(), 60.0)
    assert asking.router.tick(clock.now_s()), "a call is under way"
    old.answer(b"x")
    await settle()
    asking.router.close_idle(clock.now_s(), 60.0)
    assert not asking.router._leaving


async def test_sent_and_unanswered_when_the_replica_dies_is_replica_died() -> None:
    dying, other = _replicas(2)
    asking = Asking(dying, other)
    askers = [asking.ask(b"%d" % number) for number in range(2)]
    await settle()
    (lost,) = (asker for asker, body in zip(askers, (b"0", b"1"), strict=True) if body in dying.bodies)
    dying.cut()
    await settle()
    assert _ended_with(lost) is errors.ReplicaDied
    assert "Model#a" in str(lost.result)
    assert "retry_on_death" in str(lost.result)
    assert [asker.result is None for asker in askers].count(True) == 1


async def test_never_sent_when_the_replica_dies_goes_to_another() -> None:
    dying, other = _replicas(2)
    asking = Asking(dying)
    asking.ask(b"sent")
    await settle()
    asker = asking.ask(b"unsent")  # the carrier has not come by yet
    asking.apply([dying, other])
    dying.cut()
    await settle()
    assert other.bodies == [b"unsent"]
    assert asker.result is None


@pytest.mark.parametrize(
    ("deployment", "call", "again"),
    [
        pytest.param(True, None, True, id="the deployment says so"),
        pytest.param(False, True, True, id="the call says so"),
        pytest.param(True, False, False, id="the call says no to a deployment that says yes"),
        pytest.param(False, None, False, id="nobody says so"),
    ],
)
async def test_retry_on_death(deployment: bool, call: bool | None, again: bool) -> None:
    dying, other = _replicas(2)
    asking = Asking(dying, retry_on_death=deployment)
    asker = asking.ask(b"x", retry_on_death=call)
    await settle()
    asking.apply([dying, other], retry_on_death=deployment)
    dying.cut()
    await settle()
    assert other.bodies == ([b"x"] if again else [])
    assert (asker.result is None) == again


async def test_dead_replica_that_is_still_in_the_set_is_not_asked_at_once_again(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, retry_on_death=True)
    asking.ask(b"x")
    await settle()
    replica.cut()
    await settle()
    assert replica.sessions == 1
    clock.advance(candidate.FIRST_BACK_OFF_S)
    asking.router.tick(clock.now_s())
    await settle()
    assert replica.sessions == 2


async def test_deployment_that_is_gone_fails_at_once() -> None:
    asking = Asking(*_replicas(1))
    asking.delete()
    asker = asking.ask(b"x")
    assert _ended_with(asker) is errors.DeploymentNotFound
    assert str(asker.result) == "there is no deployment 'Model'"


async def test_those_who_wait_when_the_deployment_goes_fail_and_those_under_way_end_well() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    working, waiting = asking.ask(b"1"), asking.ask(b"2")
    await settle()
    asking.delete()
    assert _ended_with(waiting) is errors.DeploymentNotFound
    replica.answer(b"1")
    await settle()
    assert working.body == b"1"


async def test_deployment_that_comes_back_is_called_again() -> None:
    asking = Asking()
    asking.delete()
    (replica,) = _replicas(1)
    asking.apply([replica])
    asking.ask(b"x")
    await settle()
    assert replica.bodies == [b"x"]


async def test_closed_connection_ends_what_waits_and_what_is_under_way() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    askers = [asking.ask(b"1"), asking.ask(b"2")]
    await settle()
    asking.router.close()
    askers.append(asking.ask(b"3"))
    await settle()
    assert [_ended_with(asker) for asker in askers] == [errors.MeshUnavailable] * 3


# --- deadlines


async def test_deadline_in_the_queue_ends_the_call_and_says_where_it_was(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    working, waiting = asking.ask(b"1"), asking.ask(b"2", timeout_s=5)
    await settle()
    clock.advance(4.9)
    asking.router.tick(clock.now_s())
    assert waiting.result is None
    clock.advance(0.1)
    asking.router.tick(clock.now_s())
    assert _ended_with(waiting) is errors.DeadlineExceeded
    assert "waiting for a replica with room" in str(waiting.result)
    replica.answer(b"1")
    await settle()
    assert working.body == b"1"
    assert replica.bodies == [b"1"]


async def test_deadline_at_work_ends_the_call_and_tells_the_replica(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, request_timeout_s=5.0)
    asker = asking.ask(b"x")
    await settle()
    assert replica.asked[0].timeout_ms == 5000
    clock.advance(5)
    asking.router.tick(clock.now_s())
    await settle()
    assert _ended_with(asker) is errors.DeadlineExceeded
    assert "working in Model#a" in str(asker.result)
    assert replica.cancelled == [1]


@pytest.mark.parametrize(
    ("is_known", "where"),
    [
        pytest.param(False, "waiting to hear which replicas there are", id="nothing is known yet"),
        pytest.param(True, "waiting for a replica, there was none", id="scaled to zero"),
    ],
)
async def test_deadline_without_any_replica_says_so(clock: FakeClock, is_known: bool, where: str) -> None:
    asking = Asking()
    if is_known:
        asking.apply([])
    asker = asking.ask(timeout_s=5)
    clock.advance(5)
    asking.router.tick(clock.now_s())
    assert _ended_with(asker) is errors.DeadlineExceeded
    assert where in str(asker.result)


async def test_deadline_of_a_call_that_was_not_sent_does_not_say_that_it_was_begun(clock: FakeClock) -> None:
    """The replica cannot be reached, or its connection takes no more for now."""
    asking = Asking(ReplicaInMemory("Model#a"))
    asker = asking.ask(timeout_s=5)  # the carrier has not come by yet
    clock.advance(5)
    asking.router.tick(clock.now_s())
    assert _ended_with(asker) is errors.DeadlineExceeded
    assert "waiting to be sent to Model#a" in str(asker.result)


async def test_time_in_the_queue_is_taken_from_what_the_replica_has(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    asking.ask(b"1", timeout_s=10)
    asking.ask(b"2", timeout_s=10)
    await settle()
    clock.advance(4)
    replica.answer(b"1")
    await settle()
    assert [asked.timeout_ms for asked in replica.asked] == [10_000, 6000]


async def test_deadline_of_the_request_above_is_never_passed(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, request_timeout_s=60.0)
    asking.ask(b"1", parent=RequestContext("above", deadline=clock.now_s() + 2))
    asking.ask(b"2", parent=RequestContext("above", deadline=clock.now_s() + 2), timeout_s=1)
    await settle()
    assert [asked.timeout_ms for asked in replica.asked] == [2000, 1000]


@pytest.mark.parametrize(("configured_s", "wire_ms"), [(2.0, 2000), (None, 0), (600.0, 600_000)])
async def test_call_before_the_first_endpoint_set_has_the_timeout_of_the_deployment(
    clock: FakeClock, configured_s: float | None, wire_ms: int
) -> None:
    asking = Asking()
    asking.ask(b"x")
    (replica,) = _replicas(1)
    asking.apply([replica], request_timeout_s=configured_s)
    await settle()
    assert replica.asked[0].timeout_ms == wire_ms


async def test_settings_are_waited_for() -> None:
    asking = Asking()
    waiting = asyncio.ensure_future(asking.router.wait_config())
    await settle()
    assert not waiting.done()
    asking.apply(_replicas(1), max_body_bytes=17)
    config = await waiting
    assert config is not None
    assert config.max_body_bytes == 17


async def test_deployment_that_does_not_exist_has_no_settings() -> None:
    asking = Asking()
    asking.delete()
    assert await asking.router.wait_config() is None


async def test_call_before_the_first_endpoint_set_does_not_wait_for_ever(clock: FakeClock) -> None:
    asking = Asking()
    asker = asking.ask(b"x")
    clock.advance(60)
    asking.router.tick(clock.now_s())
    assert _ended_with(asker) is errors.DeadlineExceeded


# --- cancellation


async def test_cancelled_call_counts_until_the_replica_has_ended_it() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    call = asking.router.call("predict", Payload(PICKLE, b"1"), RequestContext("r"))
    asking.ask(b"2")
    await settle()
    call.cancel()
    await settle()
    assert replica.cancelled == [1]
    assert replica.bodies == [b"1"], "the slot is still taken"
    replica.answer(b"1")
    await settle()
    assert replica.bodies == [b"1", b"2"]


async def test_call_that_was_cancelled_in_the_queue_never_runs() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica, max_ongoing_requests=1)
    asking.ask(b"1")
    call = asking.router.call("predict", Payload(PICKLE, b"2"), RequestContext("r"))
    asking.ask(b"3")
    await settle()
    call.cancel()
    replica.answer(b"1")
    await settle()
    assert replica.bodies == [b"1", b"3"]


async def test_call_by_a_request_that_is_cancelled_is_not_begun() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)
    asker = asking.ask(b"x", parent=RequestContext("above", cancelled=True))
    await settle()
    assert _ended_with(asker) is errors.RequestCancelled
    assert replica.bodies == []


# --- requests that come back to a replica


async def test_request_that_re_enters_a_full_replica_is_let_in() -> None:
    (replica,) = _replicas(1, limit=1)
    asking = Asking(replica, max_ongoing_requests=1)
    asking.ask(b"outer")
    await settle()
    asking.ask(b"inner", parent=coming_from("Model#a", "Other#a"))
    await settle()
    assert replica.bodies == [b"outer", b"inner"]


async def test_request_that_comes_from_elsewhere_waits_like_any_other() -> None:
    (replica,) = _replicas(1, limit=1)
    asking = Asking(replica, max_ongoing_requests=1)
    asking.ask(b"outer")
    asking.ask(b"waiting")
    asking.ask(b"from another deployment", parent=coming_from("Other#a"))
    await settle()
    assert replica.bodies == [b"outer"]


async def test_request_that_re_enters_rather_goes_to_another_replica_with_room() -> None:
    full, free = _replicas(2, limit=1)
    asking = Asking(full, max_ongoing_requests=1)
    asking.ask(b"outer")
    await settle()
    asking.apply([full, free], max_ongoing_requests=1)
    asking.ask(b"inner", parent=coming_from("Model#a"))
    await settle()
    assert (full.bodies, free.bodies) == ([b"outer"], [b"inner"])


async def test_request_that_re_enters_is_not_held_up_by_those_who_wait_for_its_own_slot(clock: FakeClock) -> None:
    """The replica has just refused somebody, so it is left alone for a moment; then the inner call must come first."""
    (replica,) = _replicas(1, limit=1)
    asking = Asking(replica, max_ongoing_requests=2)
    asking.ask(b"outer")
    await settle()
    asking.ask(b"refused")
    await settle()
    assert replica.rejections == 1
    asking.ask(b"inner", parent=coming_from("Model#a"))
    await settle()
    assert replica.bodies == [b"outer"]
    clock.advance(candidate.FIRST_BACK_OFF_S)
    asking.apply([replica], max_ongoing_requests=1)
    await settle()
    assert replica.bodies == [b"outer", b"inner"]


# --- sessions


async def test_idle_session_is_closed_and_opened_again_by_the_next_call(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)
    asking.ask(b"1")
    await settle()
    clock.advance(100)
    asking.router.close_idle(clock.now_s(), 60)  # busy all the time
    assert asking.router._candidates["Model#a"].session is not None
    replica.answer(b"1")
    await settle()
    clock.advance(59)
    asking.router.close_idle(clock.now_s(), 60)
    assert asking.router._candidates["Model#a"].session is not None
    clock.advance(1)
    asking.router.close_idle(clock.now_s(), 60)
    assert asking.router._candidates["Model#a"].session is None
    asking.ask(b"2")
    await settle()
    assert (replica.sessions, replica.bodies) == (2, [b"1", b"2"])


async def test_tick_says_whether_anything_is_under_way() -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)
    assert not asking.router.tick(0.0)
    asking.ask(b"x")
    await settle()
    assert asking.router.tick(0.0)
    replica.answer(b"x")
    await settle()
    assert not asking.router.tick(0.0)


# --- streams


async def _streaming(replica: ReplicaInMemory, **settings: Any) -> tuple[Asking, ItemStream]:
    """A call that the replica has answered with its first item."""
    asking = Asking(replica, **settings)
    asker = asking.ask(b"x")
    await settle()
    replica.send_item(b"x", b"1")
    await settle()
    assert isinstance(asker.result, ItemStream)
    return asking, asker.result


@pytest.mark.feature("57")
async def test_time_of_a_stream_runs_from_item_to_item(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking, stream = await _streaming(replica, request_timeout_s=5.0)
    for _ in range(3):
        clock.advance(4)
        asking.router.tick(clock.now_s())
        replica.send_item(b"x", b"2")
        await settle()
    assert stream.error is None
    clock.advance(6)
    asking.router.tick(clock.now_s())
    assert isinstance(stream.error, errors.DeadlineExceeded)


@pytest.mark.feature("57")
async def test_time_of_a_stream_that_is_read_by_handle_runs_while_somebody_waits(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking, stream = await _streaming(replica, request_timeout_s=5.0)
    stream.unclock()
    for item in (b"2", b"3"):
        asking.ask(item, timeout_s=50)  # when this one is past its deadline, all deadlines are looked at
        await settle()
        clock.advance(100)
        asking.router.tick(clock.now_s())
        assert stream.error is None
        replica.send_item(b"x", item)
        await settle()
    for _ in range(3):
        assert stream.take() is not None
    stream.when_changed(lambda: None)
    stream.wanted((3, 3))
    clock.advance(4)
    asking.router.tick(clock.now_s())
    assert stream.error is None
    clock.advance(2)
    asking.router.tick(clock.now_s())
    assert isinstance(stream.error, errors.DeadlineExceeded)


@pytest.mark.feature("57")
async def test_stream_that_was_begun_is_not_sent_again_when_its_replica_dies() -> None:
    one, other = _replicas(2)
    asking = Asking(one, other, retry_on_death=True)
    asker = asking.ask(b"x")
    await settle()
    working = one if one.working else other
    working.send_item(b"x", b"1")
    await settle()
    working.cut()
    await settle()
    assert isinstance(asker.result, ItemStream)
    assert isinstance(asker.result.error, errors.ReplicaDied)
    assert "items had come or gone" in str(asker.result.error)
    assert "set retry_on_death" not in str(asker.result.error), "it is set"
    assert len(one.asked) + len(other.asked) == 1


# --- overload


async def test_calls_made_before_the_limits_were_known_are_held_to_them_afterwards(clock: FakeClock) -> None:
    asking = Asking()
    askers = [asking.ask(b"%d" % number) for number in range(6)]
    asking.apply(_replicas(1), max_ongoing_requests=2, max_queued_requests=1)
    await settle()
    assert [type(asker.result) for asker in askers] == [type(None)] * 3 + [errors.RequestRejected] * 3


async def test_what_waits_before_the_limits_are_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.router.router.QUEUED_BEFORE_KNOWN", 3)
    asking = Asking()
    askers = [asking.ask() for _ in range(5)]
    assert [type(asker.result) for asker in askers] == [type(None)] * 3 + [errors.RequestRejected] * 2


async def test_call_that_ends_every_replica_is_not_run_again_for_ever() -> None:
    replicas = [ReplicaInMemory(f"Model#{number}") for number in range(30)]
    asking = Asking(*replicas, retry_on_death=True)
    asker = asking.ask(b"poison")
    for _ in range(30):
        await settle()
        for replica in replicas:
            if replica.working:
                replica.cut()
    await settle()
    assert _ended_with(asker) is errors.ReplicaDied
    assert "died with it 13 times" in str(asker.result)
    assert sum(len(replica.bodies) for replica in replicas) == 13, (
        "once, its free retry, ten of the budget, and one that its attempts paid for"
    )


async def test_spent_budget_does_not_keep_a_call_from_its_first_retry() -> None:
    replicas = [ReplicaInMemory(f"Model#{number}") for number in range(60)]
    asking = Asking(*replicas, retry_on_death=True)
    for body in (b"poison", b"other"):
        asker = asking.ask(body)
        for _ in range(30 if body == b"poison" else 1):
            await settle()
            for replica in replicas:
                if replica.working:
                    replica.cut()
    await settle()
    assert asker.result is None
    assert sum(replica.bodies.count(b"other") for replica in replicas) == 2


async def test_silence_is_that_of_calls_of_which_nothing_has_come(clock: FakeClock) -> None:
    (replica,) = _replicas(1)
    asking = Asking(replica)

    def silent_s() -> float:
        session = asking.router._candidates["Model#a"].session
        assert session is not None
        return session.silent_s(clock.now_s())

    asking.ask(b"stream")
    await settle()
    clock.advance(1)
    assert silent_s() == 1
    replica.send_item(b"stream", b"item")
    await settle()
    clock.advance(10)
    assert silent_s() == 0, "a stream that has begun may be idle"
    asking.ask(b"call")
    await settle()
    clock.advance(2)
    assert silent_s() == 2
    replica.answer(b"call")
    await settle()
    clock.advance(10)
    assert silent_s() == 0


async def test_replica_whose_calls_raise_while_others_do_not_gets_none_for_a_while(clock: FakeClock) -> None:
    well, broken = _replicas(2)
    asking = Asking(well, broken)
    for number in range(40):
        asking.ask(b"%d" % number)
        await settle()
        for body in [asked.body for asked in well.asked if asked.call_id in well.working]:
            well.answer(body)
        for body in [asked.body for asked in broken.asked if asked.call_id in broken.working]:
            broken.fail(body, RuntimeError("no device"))
        await settle()
        asking.router.tick(clock.now_s())
    assert len(broken.bodies) == ERRORS
    clock.advance(FIRST_EJECTION_S)
    for number in range(3):
        asking.ask(b"again %d" % number)
    await settle()
    assert len(broken.bodies) == ERRORS + 1, "one call shows whether it is well again"
