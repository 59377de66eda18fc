"""Sizes in the controller's state: kept, bounded, said why; asked of policies; and followed through a load step."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace
from itertools import count, pairwise
from typing import Any

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.autoscaler import Autoscaler
from mesh.controller.autoscaling import called_for
from mesh.controller.demand import Demand, Reported
from mesh.controller.events import Applied, Ended, Event, Launched, Listed, RolledBack, Said, Scaled, apply
from mesh.controller.policies import ANSWER_TIMEOUT_S, Answered
from mesh.controller.reconcile import Kill, Launch, reconcile
from mesh.controller.rows import from_rows, to_rows
from mesh.controller.state import MeshState, ReplicaEvent, ReplicaState
from mesh.controller.story import Story, continued
from mesh.controller.views import endpoint_sets, routes, status
from mesh.errors import ConfigError
from mesh.v1 import controller_pb2 as pb

KEY = ("shop", "Model")
START_S = 100.0
LATER_S = START_S + 10


def application(version: str = "1", **settings: Any) -> ApplicationSpec:
    scaling = AutoscalingConfig(**{"min_replicas": 0, "max_replicas": 8, "target_ongoing_requests": 8.0, **settings})
    config = DeploymentConfig(autoscaling_config=scaling, graceful_shutdown_timeout_s=1.0)
    return of_config(config, version)


def of_config(config: DeploymentConfig, version: str = "1") -> ApplicationSpec:
    spec = DeploymentSpec(*KEY, Runtime("python", (), "/"), import_path="m:Model", version=version, config=config)
    return ApplicationSpec("shop", "Model", (spec,), "/shop")


class World:
    """A controller without a process: what is launched is ready after ``start_s``, what drains ends after a while."""

    def __init__(self, spec: ApplicationSpec, start_s: float = 0.1) -> None:
        self.autoscaler = Autoscaler(START_S)
        self.state = MeshState()
        self.now_s = LATER_S
        self.start_s = start_s
        self.sizes: list[int] = []
        self.look_at_s = 0.0
        self._order = count()
        self._later: list[tuple[float, int, Event]] = []
        self.happens(Applied(spec))

    def happens(self, *events: Event) -> None:
        for event in events:
            self.state = apply(self.state, event, self.now_s)
        self.step()

    def tell(self, ongoing: float, without_replica: int = 0, line: int = 1) -> None:
        self.autoscaler.take(Reported(line, {KEY: Demand(ongoing, without_replica)}), self.now_s)
        self.step()

    def answer(self, replicas: float, failure: str = "") -> None:
        (question,) = self.autoscaler.questions.values()
        self.autoscaler.take(Answered(question.number, replicas, failure), self.now_s)
        self.step()

    def step(self) -> None:
        sizes = self.autoscaler.step(self.state, self.now_s)
        again = self.autoscaler.step(sizes.state, self.now_s)
        assert again.state is sizes.state, "looked at twice, nothing is left to decide"
        step = reconcile(sizes.state, self.now_s)
        self.state, self.look_at_s = step.state, min(sizes.look_at_s, step.wake_at_s)
        for action in step.actions:
            match action:
                case Launch(replica):
                    ready = Said(replica.replica_id, 1, ReplicaEvent.SAID_READY, pid=7)
                    self.later(0.0, Launched(replica.replica_id, 7))
                    self.later(self.start_s, ready)
                case Kill(replica_id):
                    self.later(0.0, Ended(replica_id, "killed"))
        for replica in self.state.replicas.values():
            if replica.state is ReplicaState.DRAINING:
                self.later(0.05, Ended(replica.replica_id, "drained"))
        if not self.sizes or self.sizes[-1] != self.size:
            self.sizes.append(self.size)

    def restart(self) -> None:
        """Another controller takes over; replicas attach again, and routers tell it what they have when they do."""
        self.state = from_rows(to_rows(self.state), self.now_s)
        self.autoscaler = Autoscaler(self.now_s)
        for replica_id, replica in self.state.replicas.items():
            if replica.live:
                self.later(0.5, Said(replica_id, 1, ReplicaEvent.SAID_READY, pid=7))
        self.happens(Listed(dict.fromkeys(self.state.replicas, 7)))

    def later(self, after_s: float, event: Event) -> None:
        heapq.heappush(self._later, (self.now_s + after_s, next(self._order), event))

    def go_on(self, until_s: float) -> None:
        """Everything that happens until then, and every look that was asked for."""
        while True:
            due_s = min(self._later[0][0] if self._later else until_s, max(self.look_at_s, self.now_s))
            if due_s >= until_s:
                self.now_s = until_s
                return
            self.now_s = due_s
            if self._later and self._later[0][0] <= due_s:
                self.happens(heapq.heappop(self._later)[2])
            else:
                self.step()

    def wait(self, seconds: float) -> None:
        self.go_on(self.now_s + seconds)

    @property
    def deployment(self) -> pb.DeploymentStatus:
        return status(self.state, 1, "/run", self.now_s).applications[0].deployments[0]

    @property
    def size(self) -> int:
        return self.deployment.num_replicas

    @property
    def running(self) -> int:
        return len(endpoint_sets(self.state, "/run")[KEY].endpoints)

    @property
    def turns(self) -> int:
        ways = [after > before for before, after in pairwise(self.sizes)]
        return sum(one is not other for one, other in pairwise(ways))


def test_what_begins_with_no_replica_runs_is_routed_and_has_its_methods() -> None:
    world = World(application())
    world.wait(60)
    assert (world.size, world.deployment.phase, world.deployment.scaling) == (0, pb.PHASE_RUNNING, "0: min_replicas")
    assert [route.prefix for route in routes(world.state)] == ["/shop"]
    assert not endpoint_sets(world.state, "/run")[KEY].deleted
    assert not world.state.replicas


def test_a_request_without_replica_starts_one_in_the_step_in_which_it_is_told() -> None:
    world = World(application(upscale_delay_s=600))
    world.tell(ongoing=5, without_replica=5)
    assert (world.size, len(world.state.replicas)) == (1, 1)
    assert world.deployment.scaling == "0 -> 1: 5 waiting for a first replica"


def test_the_initial_number_is_held_for_the_delay() -> None:
    world = World(application(initial_replicas=3, downscale_delay_s=60))
    world.wait(59)
    assert (world.size, world.deployment.scaling) == (3, "3: initial_replicas")
    world.wait(2)
    assert (world.size, world.deployment.scaling) == (0, "3 -> 0: 0 ongoing, target 8 each")
    assert world.deployment.scaled_ago_s == pytest.approx(1)


def test_a_constructor_that_fails_after_a_wake_up_is_given_up_as_any_other() -> None:
    world = World(application(), start_s=1e6)
    world.happens(Applied(application()))  # again, which proves nothing either
    world.tell(ongoing=1, without_replica=1)
    for _ in range(3):
        (replica_id,) = world.state.replicas
        world.happens(Said(replica_id, 1, ReplicaEvent.SAID_FAILED, failure="no model"))
        world.happens(Ended(replica_id, "ended"))
        world.wait(1)
    assert (world.deployment.phase, world.deployment.message) == (pb.PHASE_DEPLOY_FAILED, "no model")


def test_what_has_run_before_is_not_running_while_it_fails_to_start() -> None:
    world = World(application(downscale_delay_s=10))
    world.tell(1, 1)
    world.wait(1)
    world.tell(0)
    world.wait(20)
    assert (world.size, world.running, world.deployment.phase) == (0, 0, pb.PHASE_RUNNING)
    world.start_s = 1e6
    world.tell(1, 1)
    assert world.deployment.phase == pb.PHASE_RUNNING, "nothing has failed yet"
    for _ in range(4):
        (replica_id,) = world.state.replicas
        world.happens(Said(replica_id, 1, ReplicaEvent.SAID_FAILED, failure="no model"))
        world.happens(Ended(replica_id, "ended"))
        assert (world.deployment.phase, world.deployment.message) == (pb.PHASE_DEPLOYING, "no model")
        world.wait(1)
    world.start_s = 0.1
    (replica_id,) = world.state.replicas
    world.happens(Said(replica_id, 1, ReplicaEvent.SAID_READY, pid=7))
    assert world.deployment.phase == pb.PHASE_RUNNING


def test_growing_is_no_deploying() -> None:
    world = World(application(min_replicas=1), start_s=5)
    world.wait(6)
    world.tell(64)
    world.wait(4)
    assert (world.size, world.running, world.deployment.phase) == (8, 1, pb.PHASE_RUNNING)


def test_the_size_is_stored_with_its_reason() -> None:
    world = World(application(initial_replicas=5))
    world.wait(1)
    after = from_rows(to_rows(world.state), 5000.0)
    assert after.applications["shop"].deployments["Model"].size == replace(
        world.state.applications["shop"].deployments["Model"].size,  # type: ignore[type-var]
        since_s=5000.0,
    )


def test_a_new_controller_ends_nothing_before_routers_had_time_to_tell_it() -> None:
    world = World(application(initial_replicas=5, downscale_delay_s=0.5, look_back_period_s=0.1))
    world.state = from_rows(to_rows(world.state), world.now_s)
    world.autoscaler = Autoscaler(world.now_s)
    world.step()
    world.wait(3.4)
    assert world.size == 5
    world.tell(40)
    world.wait(10)
    assert world.size == 5


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        pytest.param({}, 5, id="the same"),
        pytest.param({"max_replicas": 3}, 3, id="a lower bound above"),
        pytest.param({"min_replicas": 6}, 6, id="a higher bound below"),
        pytest.param({"initial_replicas": 1}, 5, id="other initial_replicas"),
    ],
)
@pytest.mark.parametrize("version", ["1", "2"], ids=["the same code", "new code"])
def test_what_is_applied_again_keeps_its_size_within_the_bounds(
    version: str, settings: dict[str, Any], size: int
) -> None:
    world = World(application(initial_replicas=5))
    world.wait(1)
    world.happens(Applied(application(version, **settings)))
    world.wait(1)
    assert (world.size, world.running) == (size, size)


def test_what_begins_to_autoscale_begins_with_what_it_has() -> None:
    world = World(of_config(DeploymentConfig(num_replicas=4)))
    world.wait(1)
    world.happens(Applied(application()))
    assert (world.size, world.deployment.scaling) == (4, "4: as many as before")
    world.happens(Applied(of_config(DeploymentConfig(num_replicas=2))))
    assert (world.size, world.deployment.scaling) == (2, "")


def test_what_autoscales_is_not_scaled_by_hand() -> None:
    world = World(application())
    with pytest.raises(ConfigError, match="autoscales between 0 and 8 replicas"):
        world.happens(Scaled(*KEY, 3))


def test_the_story_has_every_size_with_its_reason_and_what_a_policy_did_wrong() -> None:
    world = World(application(policy="m:busy"))
    before = world.state
    world.tell(ongoing=1, without_replica=1)
    (entry,) = (
        e for e in continued(Story(), before, world.state, (), 0.0).entries if e.deployment and not e.replica_id
    )
    assert (entry.what, entry.message) == ("scaled", "0 -> 1: 1 waiting for a first replica")
    world.wait(1)
    before = world.state
    world.answer(0, "policy m:busy raised LookupError: no idea")
    (entry,) = continued(Story(), before, world.state, (), 0.0).entries
    assert (entry.what, entry.message) == ("size kept", "policy m:busy raised LookupError: no idea")


POLICY = {"policy": "m:busy", "min_replicas": 1, "upscale_delay_s": 0, "metrics_interval_s": 0.5}


def test_a_policy_is_asked_again_and_again_and_obeyed() -> None:
    world = World(application(**POLICY))
    world.wait(0.3)
    world.answer(2.5)
    assert (world.size, world.deployment.scaling) == (3, "1 -> 3: 0 ongoing, m:busy says so")
    first = next(iter(world.autoscaler.questions.values())).number
    world.wait(0.6)
    (question,) = world.autoscaler.questions.values()
    assert (question.number - first, question.num_replicas, question.running_replicas) == (1, 3, 3)
    world.answer(99)
    assert world.size == 8


def test_a_policy_that_fails_keeps_the_last_size_and_that_is_said() -> None:
    world = World(application(**POLICY, initial_replicas=4, downscale_delay_s=0))
    world.wait(0.3)
    for _ in range(5):
        world.answer(0, "policy m:busy raised LookupError: no idea")
        world.wait(0.6)
    trouble = "4: initial_replicas; kept at 4: policy m:busy raised LookupError: no idea"
    assert (world.size, world.deployment.scaling) == (4, trouble)
    world.answer(4)
    assert world.deployment.scaling == "4: initial_replicas"


def test_a_policy_that_does_not_answer_is_asked_elsewhere() -> None:
    world = World(application(**POLICY, initial_replicas=2))
    world.wait(0.3)
    (first,) = world.autoscaler.questions
    world.wait(ANSWER_TIMEOUT_S)
    (second,) = world.autoscaler.questions
    assert first != second
    assert world.deployment.scaling == "2: initial_replicas; kept at 2: policy m:busy has not answered for 5 s"


def test_an_old_answer_counts_for_nothing() -> None:
    world = World(application(**POLICY))
    world.wait(0.3)
    world.autoscaler.take(Answered(1, 7.0), world.now_s)
    world.step()
    assert world.size == 1


def test_no_policy_takes_the_last_replica_from_those_who_wait() -> None:
    world = World(application(**{**POLICY, "min_replicas": 0}, initial_replicas=1, downscale_delay_s=0))
    world.tell(3)
    world.wait(0.5)
    world.answer(0)
    world.wait(0.4)
    assert world.size == 1


@pytest.mark.parametrize("seed", range(5), ids=lambda seed: f"seed-{seed}")
def test_a_load_step_turns_the_size_once(seed: int) -> None:
    """Requests come at random for two minutes, at a rate that eight replicas are right for; then none do."""
    rng = random.Random(seed)
    world = World(application(), start_s=rng.uniform(0.1, 5))
    work_s, in_system, begun_s, told_s = rng.uniform(0.2, 0.8), 0, world.now_s, 0.0
    by_size: dict[int, float] = {}
    while world.now_s < begun_s + 240:
        loaded = world.now_s < begun_s + 120
        arrivals = sum(rng.random() < 0.5 for _ in range(round(2 * 60 / work_s * 0.1))) if loaded else 0
        served = min(in_system, world.running * 16)
        in_system += arrivals - min(served, sum(rng.random() < 0.1 / work_s for _ in range(served)))
        if world.now_s >= told_s or (in_system and not world.running):
            told_s = world.now_s + 0.5
            world.tell(in_system, 0 if world.running else in_system)
        by_size[world.size] = by_size.get(world.size, 0) + 0.1
        world.wait(0.1)
    assert (world.sizes[0], max(world.sizes), world.sizes[-1]) == (0, 8, 0)
    assert (world.turns, in_system) == (1, 0), world.sizes
    assert by_size[8] > 110, by_size


@pytest.mark.parametrize("seed", range(40), ids=lambda seed: f"seed-{seed}")
def test_whatever_happens_the_size_becomes_what_the_demand_calls_for(seed: int) -> None:
    """Demand jumps, routers, replicas and controllers die, bounds change: it stays in them and right at last."""
    rng = random.Random(seed)
    delays = {"upscale_delay_s": 1.0, "downscale_delay_s": 2.0, "look_back_period_s": 1.0}
    world, most = World(application(**delays), start_s=rng.uniform(0.1, 2)), 8

    def tell(line: int) -> None:
        ongoing = rng.choice((0, 1, rng.randrange(100)))
        world.tell(ongoing, 0 if world.running else ongoing, line)

    for _ in range(40):
        match rng.randrange(8):
            case 0:
                world.autoscaler.take(Reported(rng.randrange(3), {}), world.now_s)
            case 1:
                world.restart()
            case 2 if world.state.replicas:
                world.happens(Ended(rng.choice(sorted(world.state.replicas)), "crashed"))
            case 3:
                most = rng.randrange(1, 9)
                world.happens(Applied(application(rng.choice("12"), **delays, max_replicas=most)))
            case _:
                tell(rng.randrange(3))
        assert 0 <= world.size <= most
        world.wait(rng.uniform(0, 2))
    for line in (0, 1, 2):
        world.autoscaler.take(Reported(line, {}), world.now_s)
    ongoing = rng.choice((0, 3, 30, 300))
    for _ in range(60):  # as a router does until all is well
        world.tell(ongoing, 0 if world.running else ongoing)
        world.wait(1)
    config = world.state.applications["shop"].spec.deployments[0].config.autoscaling_config
    assert config is not None
    assert called_for(config, ongoing, world.size) == world.size == world.running, world.deployment.scaling


def fixed(num_replicas: int, version: str) -> ApplicationSpec:
    return of_config(DeploymentConfig(num_replicas=num_replicas, graceful_shutdown_timeout_s=1.0), version)


def test_what_autoscales_serves_as_large_as_it_is_until_what_is_fixed_can() -> None:
    world = World(application(initial_replicas=4), start_s=0.1)
    world.wait(1)
    world.tell(32)
    world.start_s = 20
    world.happens(Applied(fixed(2, "2")))
    world.wait(10)
    assert (world.running, world.size, world.deployment.scaling) == (4, 2, "")
    world.tell(64)
    world.wait(5)
    assert len([r for r in world.state.replicas.values() if r.live and r.rank >= 4]) == 4, "it follows its load"
    world.wait(20)
    assert (world.running, world.size) == (2, 2)


def test_what_autoscales_serves_on_and_is_woken_when_the_update_to_what_is_fixed_fails() -> None:
    world = World(application(), start_s=0.1)
    world.tell(1, 1)
    world.wait(1)
    world.start_s = 1e6
    world.happens(Applied(fixed(1, "2")))
    for _ in range(3):
        (new,) = [r.replica_id for r in world.state.replicas.values() if r.state is ReplicaState.STARTING]
        world.happens(Said(new, 1, ReplicaEvent.SAID_FAILED, failure="no model"))
        world.happens(Ended(new, "ended"))
        world.wait(1)
    world.start_s = 0.1
    assert (world.running, world.deployment.phase) == (1, pb.PHASE_DEPLOY_FAILED)
    world.tell(0)
    world.wait(100)
    assert world.running == 0
    world.tell(1, 1)
    world.wait(1)
    assert world.running == 1


@pytest.mark.parametrize("downscale_delay_s", [0.0, 20.0])
def test_what_is_fixed_keeps_its_number_until_the_load_of_what_follows_is_known(downscale_delay_s: float) -> None:
    world = World(fixed(4, "1"))
    world.wait(1)
    world.start_s = 50
    world.happens(Applied(application("2", downscale_delay_s=downscale_delay_s)))
    world.wait(49)
    assert (world.running, world.size, world.deployment.scaling) == (4, 4, "4: as many as before")
    assert world.deployment.scaled_ago_s == pytest.approx(49)
    world.wait(2)
    assert {r.revision for r in world.state.replicas.values() if r.live} == {world.deployment.revision}
    assert world.running == 4
    world.wait(1.5)  # routers know by now that they have to tell
    world.tell(32)
    world.wait(100)
    assert world.running == 4


def test_the_same_code_begins_to_autoscale_when_its_routers_had_time_to_tell() -> None:
    world = World(fixed(4, "1"))
    world.wait(1)
    world.happens(Applied(application(downscale_delay_s=0, look_back_period_s=0.1)))
    world.wait(2.5)
    assert world.running == 4
    world.tell(32)
    world.wait(10)
    assert world.running == 4


def test_what_leaves_is_woken_for_the_old_driver() -> None:
    model = application().deployments[0]
    shop = replace(model, name="Shop", config=DeploymentConfig(graceful_shutdown_timeout_s=1.0))
    world = World(ApplicationSpec("shop", "Shop", (model, shop), "/shop"))
    world.wait(1)
    world.start_s = 50
    world.happens(Applied(ApplicationSpec("shop", "Shop", (replace(shop, version="2"),), "/shop")))
    world.wait(1)
    assert world.running == 0
    world.start_s = 0.1
    world.tell(1, 1)
    world.wait(1)
    assert world.running == 1
    world.tell(0)
    world.wait(60)
    assert [r.deployment for r in world.state.replicas.values()] == ["Shop"]


def test_a_number_set_by_hand_is_none_of_what_autoscales_before_or_after() -> None:
    world = World(application())
    world.wait(1)
    world.happens(Applied(fixed(2, "2")))
    world.wait(1)
    world.happens(Scaled(*KEY, 3))
    world.wait(1)
    assert world.running == 3
    world.happens(RolledBack("shop"))
    (spec,) = world.state.applications["shop"].spec.deployments
    assert spec.config == application().deployments[0].config


def test_of_what_does_not_autoscale_no_demand_is_remembered() -> None:
    world = World(fixed(1, "1"))
    for number in range(20):
        world.tell(number)
    world.autoscaler.take(Reported(2, {("nobody", "Knows"): Demand(3)}), world.now_s)
    world.step()
    assert not world.autoscaler._demand._pasts
