"""What a process tells of its demand: means at the interval, and at once that a call finds no replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.errors import MeshUnavailable
from mesh.router import demand
from mesh.router.demand import DemandLine
from mesh.testing import FakeClock
from mesh.v1 import controller_pb2 as pb
from tests.unit.router.replica_in_memory import Asking, ReplicaInMemory, settle

SCALING = AutoscalingConfig(min_replicas=0, max_replicas=4, metrics_interval_s=10.0)


@dataclass
class Controller:
    """Takes the reports of one process, each as (ongoing, without_replica) of its deployments."""

    reports: list[list[tuple[float, int]]] = field(default_factory=list)
    lines: int = 0
    breaks: bool = False
    """The next line ends after its first report."""

    async def take(self, reports: AsyncIterable[pb.ReportDemandRequest]) -> None:
        self.lines += 1
        async for report in reports:
            self.reports.append([(round(one.ongoing, 3), one.without_replica) for one in report.demands])
            if self.breaks:
                self.breaks = False
                raise MeshUnavailable("the controller has ended")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(1000.0)
    monkeypatch.setattr(demand, "monotonic", clock.now_s)
    monkeypatch.setattr(demand, "TELL_AGAIN_S", 0.0)
    return clock


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
async def line(controller: Controller, clock: FakeClock) -> AsyncIterator[DemandLine]:
    line = DemandLine(controller.take)
    yield line
    await line.close()
    await Asking.close_all()


def look(line: DemandLine, clock: FakeClock, asking: Asking, seconds: float) -> float:
    """Look every second for so long; when the next look is due."""
    due_s = 0.0
    for _ in range(round(seconds)):
        clock.advance(1.0)
        due_s = line.look([asking.router], clock.now_s())
    return due_s


async def test_calls_that_find_no_replica_are_told_at_once_and_that_they_have_found_one(
    line: DemandLine, controller: Controller
) -> None:
    asking = Asking(tell_demand=line.tell_now)
    asking.apply([], autoscaling_config=SCALING)
    for _ in range(3):
        asking.ask()
    await settle()
    assert controller.reports == [[(1, 1)]], "one report for all that come before anything has changed"
    asking.apply([ReplicaInMemory("Model#a")], autoscaling_config=SCALING)
    await settle()
    assert controller.reports == [[(1, 1)], [(3, 0)]]


async def test_calls_made_before_the_first_endpoint_set_are_told_when_it_has_come(
    line: DemandLine, controller: Controller
) -> None:
    asking = Asking(tell_demand=line.tell_now)
    asking.ask()
    asking.apply([], autoscaling_config=SCALING)
    await settle()
    assert controller.reports == [[(1, 1)]]


async def test_calls_given_back_by_the_last_replica_are_told_at_once(line: DemandLine, controller: Controller) -> None:
    replica = ReplicaInMemory("Model#a", limit=0)
    asking = Asking(replica, tell_demand=line.tell_now, autoscaling_config=SCALING)
    asking.ask()
    await settle()
    asking.apply([], autoscaling_config=SCALING)
    await settle()
    assert controller.reports == [[(1, 1)]]


async def test_means_are_told_at_the_interval_until_there_is_nothing(
    line: DemandLine, controller: Controller, clock: FakeClock
) -> None:
    replica = ReplicaInMemory("Model#a")
    asking = Asking(replica, tell_demand=line.tell_now, autoscaling_config=SCALING)
    look(line, clock, asking, 1)
    asking.ask(b"x")
    await settle()
    begun_s = clock.now_s()
    assert look(line, clock, asking, 9) == begun_s + SCALING.metrics_interval_s
    await settle()
    assert controller.reports == []
    look(line, clock, asking, 2)
    await settle()
    assert controller.reports == [[(1, 0)]]
    replica.answer(b"x")
    await settle()
    assert look(line, clock, asking, 11) < float("inf")
    await settle()
    assert look(line, clock, asking, 10) == float("inf"), "all is told"
    await settle()
    assert controller.reports == [[(1, 0)], [(0.1, 0)], [(0, 0)]]


async def test_what_does_not_autoscale_and_what_nobody_calls_is_not_told(
    line: DemandLine, controller: Controller, clock: FakeClock
) -> None:
    fixed = Asking(ReplicaInMemory("Model#a"), tell_demand=line.tell_now)
    fixed.ask()
    idle = Asking(ReplicaInMemory("Model#b"), tell_demand=line.tell_now, autoscaling_config=SCALING)
    look(line, clock, fixed, 30)
    look(line, clock, idle, 30)
    await settle()
    assert (controller.reports, controller.lines) == ([], 0)


async def test_what_autoscales_no_longer_is_taken_back(
    line: DemandLine, controller: Controller, clock: FakeClock
) -> None:
    replica = ReplicaInMemory("Model#a")
    asking = Asking(tell_demand=line.tell_now)
    asking.apply([], autoscaling_config=SCALING)
    asking.ask()
    await settle()
    asking.apply([replica])
    look(line, clock, asking, 2)
    await settle()
    assert controller.reports == [[(1, 1)], []]
    asking.apply([replica], autoscaling_config=SCALING)
    look(line, clock, asking, 12)
    await settle()
    assert controller.reports == [[(1, 1)], [], [(1, 0)]]


async def test_a_new_line_begins_with_everything(line: DemandLine, controller: Controller) -> None:
    controller.breaks = True
    asking = Asking(tell_demand=line.tell_now)
    asking.apply([], autoscaling_config=SCALING)
    asking.ask()
    async with asyncio.timeout(5):
        while len(controller.reports) < 2:
            await settle()
    assert (controller.reports, controller.lines) == ([[(1, 1)], [(1, 1)]], 2)
