"""Open-loop load on replicas in simulated time: one that is slow is shunned, probed, and used again."""

from __future__ import annotations

from random import Random

import pytest

from mesh.router import candidates
from tests.unit.router.simulated_mesh import Ended, Simulation, percentile

SERVICE_S = 0.005
SLOW_S = 40 * SERVICE_S

ROOM = [
    pytest.param(5, False, id="5 at a time, on a loop"),
    pytest.param(5, True, id="room for 5, one at a time"),
    pytest.param(1, True, id="room for 1"),
]
CALLERS = pytest.mark.parametrize("callers", [pytest.param(1, id="1 caller"), pytest.param(8, id="8 callers")])


def _rate(limit: int, *, serial: bool) -> float:
    """60 % of what three fast replicas can do, calls a second."""
    return 0.6 * 3 * (1 if serial else limit) / SERVICE_S


@pytest.mark.parametrize(("limit", "serial"), ROOM)
@CALLERS
def test_one_slow_replica_of_four_is_hardly_noticed(
    monkeypatch: pytest.MonkeyPatch, limit: int, serial: bool, callers: int
) -> None:
    rate = _rate(limit, serial=serial)
    three = Simulation(monkeypatch, [SERVICE_S] * 3, limit=limit, serial=serial, callers=callers)
    three.load(rate, 700 / rate)
    alone = three.load(rate, 2000 / rate)
    four = Simulation(monkeypatch, [SERVICE_S] * 3 + [SLOW_S], limit=limit, serial=serial, callers=callers)
    four.load(rate, 700 / rate)  # until it is known
    before = four.replicas[3].calls
    ended = four.load(rate, 2000 / rate)
    assert percentile(ended, 0.99) <= 2 * percentile(alone, 0.99)
    assert 0 < four.replicas[3].calls - before < 0.01 * len(ended), "it is probed, but not often"
    assert all(one.is_answered for one in ended)


def test_without_service_times_every_hundredth_call_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other tests here would show if queue length alone decided."""
    monkeypatch.setattr(candidates, "weight", lambda *_: 1.0)
    four = Simulation(monkeypatch, [SERVICE_S] * 3 + [SLOW_S])
    assert percentile(four.load(_rate(5, serial=False), 1), 0.99) > SLOW_S * 1000


@pytest.mark.parametrize(("limit", "serial"), ROOM)
@CALLERS
def test_replica_that_becomes_slow_is_noticed_and_one_that_recovers_is_used_again(
    monkeypatch: pytest.MonkeyPatch, limit: int, serial: bool, callers: int
) -> None:
    simulation = Simulation(monkeypatch, [SERVICE_S] * 4, limit=limit, serial=serial, callers=callers)
    rate = _rate(limit, serial=serial)
    changing = simulation.replicas[3]

    def share(seconds: float) -> float:
        before = changing.calls
        ended = simulation.load(rate, seconds)
        return (changing.calls - before) / len(ended)

    assert share(300 / rate) == pytest.approx(0.25, abs=0.05)
    changing.service_s = lambda: SLOW_S
    assert share(700 / rate) < 0.03
    share(700 / rate)
    assert share(1500 / rate) < 0.01
    changing.service_s = lambda: SERVICE_S
    share(256 * callers * 3 / rate)
    assert share(500 / rate) == pytest.approx(0.25, abs=0.07)


def test_silence_tells_before_the_first_slow_answer_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(monkeypatch, [SERVICE_S] * 4, limit=100)
    simulation.load(_rate(5, serial=False), 0.5)
    caller, stuck = simulation.callers[0], simulation.replicas[3]
    stuck.service_s = lambda: 1e9
    before = stuck.calls
    while stuck.calls == before:
        caller.make_call()
        simulation.world.run(SERVICE_S)
    simulation.world.run(10 * SERVICE_S)
    before = stuck.calls
    for _ in range(40):
        caller.make_call()
    simulation.world.run(SERVICE_S)
    assert stuck.calls - before <= 2, "by queue length it would be ten"


@pytest.mark.parametrize(
    "distribution",
    [
        pytest.param(lambda random: SERVICE_S, id="always the same"),
        pytest.param(lambda random: random.expovariate(1 / SERVICE_S), id="exponential"),
        pytest.param(lambda random: SERVICE_S * random.lognormvariate(0, 1), id="log-normal"),
        pytest.param(lambda random: SERVICE_S * (20 if random.random() < 0.1 else 1), id="every tenth 20x as long"),
    ],
)
@CALLERS
def test_replicas_that_are_alike_behave_as_by_queue_length(
    monkeypatch: pytest.MonkeyPatch, distribution: object, callers: int
) -> None:
    def run() -> list[Ended]:
        simulation = Simulation(monkeypatch, [SERVICE_S] * 4, serial=True, callers=callers)
        random = Random(3)
        for replica in simulation.replicas:
            replica.service_s = lambda: distribution(random)  # type: ignore[operator]
        mean = sum(distribution(Random(i)) for i in range(1000)) / 1000  # type: ignore[operator]
        return simulation.load(0.6 * 4 / mean, 1500 * mean)

    weighed = run()
    monkeypatch.setattr(candidates, "weight", lambda *_: 1.0)
    by_length = run()
    assert percentile(weighed, 0.5) <= 1.3 * percentile(by_length, 0.5)
    assert percentile(weighed, 0.99) <= 1.3 * percentile(by_length, 0.99)


def test_sequential_calls_alternate_in_spite_of_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(monkeypatch, [SERVICE_S] * 2)
    random = Random(5)
    for replica in simulation.replicas:
        replica.service_s = lambda: SERVICE_S * random.uniform(0.5, 2)
    for number in range(1, 201):
        simulation.callers[0].make_call()
        simulation.world.run(0.1)
        assert abs(simulation.replicas[0].calls - simulation.replicas[1].calls) == number % 2


def test_call_that_waits_goes_to_the_slow_replica_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting in the router for a fast one has a bound: what the slow one would have taken."""
    simulation = Simulation(monkeypatch, [SERVICE_S] * 3 + [SLOW_S], limit=1)
    simulation.load(_rate(1, serial=True), 2)
    for replica in simulation.replicas[:3]:
        replica.service_s = lambda: 1e9  # the fast ones never answer again
    caller, slow = simulation.callers[0], simulation.replicas[3]
    for _ in range(4):
        caller.make_call()
    before = slow.calls
    simulation.world.run(SLOW_S / 2)
    simulation.world.run(2 * SLOW_S)
    assert slow.calls - before == 1
