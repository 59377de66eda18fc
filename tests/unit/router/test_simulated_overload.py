"""Callers that want more than there is, in simulated time: nothing collapses, and each gets its share."""

from __future__ import annotations

import pytest

from tests.unit.router.simulated_mesh import Caller, Simulation, percentile

SERVICE_S = 0.005
SECONDS = 2.0
DRAINED_S = 2.0
"""After the load has ended, all that waited is answered."""

ROOM = pytest.mark.parametrize(
    ("limit", "serial"),
    [
        pytest.param(5, False, id="5 at a time, on a loop"),
        pytest.param(5, True, id="room for 5, one at a time"),
        pytest.param(1, True, id="room for 1"),
    ],
)


def _overloaded(
    monkeypatch: pytest.MonkeyPatch, demands: list[float], limit: int, *, serial: bool, queued: int
) -> tuple[list[Caller], float]:
    """Callers that each want so many times of what two replicas can do, and what those can do, in calls a second."""
    simulation = Simulation(
        monkeypatch,
        [SERVICE_S] * 2,
        limit=limit,
        serial=serial,
        callers=len(demands),
        max_queued_requests=queued,
    )
    capacity = 2 * (1 if serial else limit) / SERVICE_S
    for caller, demand in zip(simulation.callers, demands, strict=True):
        simulation.arrive(caller, demand * capacity, simulation.world.now_s + SECONDS)
    simulation.world.run(SECONDS + DRAINED_S)
    return simulation.callers, capacity


def _answered(caller: Caller) -> int:
    return sum(one.is_answered for one in caller.ended)


@ROOM
def test_one_and_a_half_times_of_what_there_is_is_no_collapse(
    monkeypatch: pytest.MonkeyPatch, limit: int, serial: bool
) -> None:
    (caller,), capacity = _overloaded(monkeypatch, [1.5], limit, serial=serial, queued=20)
    assert len(caller.ended) == caller.made, "every call ends"
    assert _answered(caller) >= 0.95 * capacity * SECONDS
    bound_ms = 1000 * (20 + 2 * limit + 1) / capacity  # all that may be before it
    assert percentile(caller.ended, 0.99) <= 1.25 * bound_ms + 1000 * SERVICE_S


@ROOM
def test_caller_that_wants_less_than_its_share_gets_it_beside_one_that_floods(
    monkeypatch: pytest.MonkeyPatch, limit: int, serial: bool
) -> None:
    (flood, modest), capacity = _overloaded(monkeypatch, [4.0, 0.45], limit, serial=serial, queued=20)
    assert _answered(modest) >= 0.98 * modest.made
    assert _answered(flood) + _answered(modest) >= 0.9 * capacity * SECONDS, "nothing is left idle for fairness' sake"


@ROOM
@pytest.mark.parametrize("demands", [[1.0, 1.0, 1.0], [1.5, 0.75, 0.75]], ids=str)
def test_callers_that_all_want_too_much_get_the_same(
    monkeypatch: pytest.MonkeyPatch, limit: int, serial: bool, demands: list[float]
) -> None:
    callers, _ = _overloaded(monkeypatch, demands, limit, serial=serial, queued=100)
    shares = [_answered(caller) for caller in callers]
    assert max(shares) <= 1.1 * min(shares)


@pytest.mark.parametrize(
    ("callers", "most"), [pytest.param(1, 2, id="one caller"), pytest.param(4, 4, id="four callers")]
)
def test_saying_whether_calls_wait_costs_few_batches(
    monkeypatch: pytest.MonkeyPatch, callers: int, most: float
) -> None:
    """With a little more than there is room for, the queue becomes empty with every answer, and is filled again.

    Told at once, each time, it took 23 batches a call for one caller and 15 for four.
    """
    simulation = Simulation(monkeypatch, [SERVICE_S] * 16, limit=1, callers=callers)
    for replica in simulation.replicas:
        replica.service_s = lambda: SERVICE_S * simulation.random.uniform(0.5, 1.5)
    calls = 1000
    for caller in simulation.callers:
        caller.to_come = calls // callers
        for _ in range(17 // callers + (callers > 1)):
            caller.make_call()
    simulation.world.run(calls * SERVICE_S)
    assert sum(len(caller.ended) for caller in simulation.callers) >= calls
    batches = sum(replica.batches_without_frames for replica in simulation.replicas)
    assert batches < most * calls


def test_replica_that_raises_at_once_does_not_attract_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(monkeypatch, [SERVICE_S] * 4)
    simulation.load(1000, 1)
    broken = simulation.replicas[1]
    broken.raises = True
    ended = simulation.load(1000, 3)
    failed = sum(not one.is_answered for one in ended)
    assert 10 <= failed < 0.03 * len(ended)
    broken.raises = False
    simulation.load(500, 3.5)
    before = broken.calls
    ended = simulation.load(1000, 1)
    assert broken.calls - before == pytest.approx(len(ended) / 4, rel=0.2)


def test_where_all_raise_none_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller with bad arguments is no reason to doubt any replica."""
    simulation = Simulation(monkeypatch, [SERVICE_S] * 4)
    for replica in simulation.replicas:
        replica.raises = True
    simulation.load(1000, 1)
    calls = [replica.calls for replica in simulation.replicas]
    assert min(calls) > 0.8 * max(calls)
