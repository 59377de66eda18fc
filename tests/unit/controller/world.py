"""A world that breaks, for the pure controller: crashes of replicas and of the controller, late, repeated, lost words.

No socket, no sleep, no clock: a queue of what happens when. After every step what must always hold is checked, and
when the faults have ended the world must become what is wished for.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from math import inf

from mesh.autoscaling import AutoscalingConfig
from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.events import (
    Applied,
    Deleted,
    Detached,
    Ended,
    Event,
    Launched,
    Listed,
    RolledBack,
    Said,
    Scaled,
    apply,
)
from mesh.controller.reconcile import Kill, Launch, reconcile
from mesh.controller.rows import from_rows, to_rows
from mesh.controller.shares import aimed_at, is_bounded, limits_of, serving_revisions
from mesh.controller.state import (
    ApplicationState,
    DeploymentState,
    MeshState,
    ReplicaEvent,
    ReplicaState,
    revision_key,
    wanted_replicas,
)
from mesh.controller.views import endpoint_sets, orders, status
from mesh.errors import ConfigError
from mesh.v1 import controller_pb2 as pb

RUNTIME = Runtime("python", (), "/")
FAULTS_END_S = 20.0
SETTLED_S = 110.0
LIMITS: tuple[tuple[int | str, int | str], ...] = (("100%", 0), (1, 0), (1, 1), (0, 1), ("50%", "50%"))
"""Values of max_surge and max_unavailable."""

SCALING = AutoscalingConfig(min_replicas=1, max_replicas=3, initial_replicas=2)
"""Of deployments that autoscale; their load is never such that they do, but their size outlives their revisions."""


@dataclass
class Process:
    """A replica as the machine has it."""

    replica_id: str
    pid: int
    fails: bool
    word: ReplicaEvent | None = None
    line: int = 0
    draining: bool = False


@dataclass
class World:
    """The machine, the replicas, the store, and the network between them and the controller.

    With ``dies_at`` the controller dies at that one of its store writes and actions, otherwise by chance.
    """

    seed: int
    dies_at: int | None = None
    now_s: float = 0.0
    state: MeshState = field(default_factory=MeshState)
    processes: dict[str, Process] = field(default_factory=dict)
    launched: set[str] = field(default_factory=set)
    wishes: dict[str, ApplicationSpec] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    incarnation: int = 1
    wakes_at_s: float = 0.0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.order = count()
        self.steps = count()
        self.crash_points = count()
        self.stored = self.state
        self.lines = count(1)
        self.pids = count(100)
        self.queue: list[tuple[float, int, int, object]] = []

    @property
    def calm(self) -> bool:
        return self.now_s >= FAULTS_END_S

    def later(self, delay_s: float, happening: object) -> None:
        heapq.heappush(self.queue, (self.now_s + delay_s, next(self.order), self.incarnation, happening))

    def tell(self, event: Event) -> None:
        """The controller hears of it after a while, perhaps twice; whether it is still the same one shows then."""
        self.later(self.rng.uniform(0, 0.2), event)
        if not self.calm and self.rng.random() < 0.2:
            self.later(self.rng.uniform(0, 3), event)

    def run(self) -> None:
        for _ in range(self.rng.randint(2, 4)):
            self.later(self.rng.uniform(0, FAULTS_END_S), self.wish)
        for fault in (self.crash_replica, self.cut_line, self.crash_controller):
            for _ in range(self.rng.randrange(3)):
                self.later(self.rng.uniform(0, FAULTS_END_S), fault)
        while self.queue and self.now_s < SETTLED_S:
            self.now_s, _, incarnation, happening = heapq.heappop(self.queue)
            if callable(happening):
                happening()
            elif incarnation == self.incarnation:  # what was said to a controller that has died is lost
                self.step(happening)

    # What the world does.

    def wish(self) -> None:
        name = self.rng.choice(("a", "a", "b"))
        if name in self.wishes and self.rng.random() < 0.15:
            if self.asked(Deleted(name)):
                del self.wishes[name]
            return
        if name in self.wishes and self.rng.random() < 0.2:
            if self.asked(RolledBack(name)):
                self.wishes[name] = self.state.applications[name].spec
            return
        if name in self.wishes and self.rng.random() < 0.2:
            wish = Scaled(name, self.rng.choice(self.wishes[name].deployments).name, self.rng.randint(1, 3))
            if self.asked(wish):
                self.wishes[name] = self.state.applications[name].spec
            return
        max_surge, max_unavailable = self.rng.choice(LIMITS)
        deployments = [
            DeploymentSpec(
                name,
                deployment,
                RUNTIME,
                import_path="module:Target",
                version=self.rng.choice(("1", "1", "2", "3", "fails")),
                config=DeploymentConfig(
                    **self.rng.choice(({"num_replicas": self.rng.randint(1, 3)}, {"autoscaling_config": SCALING})),
                    max_surge=max_surge,
                    max_unavailable=max_unavailable,
                    max_ongoing_requests=self.rng.randint(1, 9),
                    graceful_shutdown_timeout_s=2.0,
                ),
            )
            for deployment in self.rng.sample(("X", "Y"), self.rng.randint(1, 2))
        ]
        before = self.state.applications.get(name)
        if before is not None and before.deleting:  # what was deleted may go, whatever comes after it
            self.endpoints = {key: ids for key, ids in self.endpoints.items() if key[0] != name}
        spec = ApplicationSpec(name, deployments[0].name, tuple(deployments), f"/{name}")
        serving = self.serving_sizes(name)
        if self.asked(Applied(spec)):
            self.wishes[name] = spec
            keys = {(deployment.name, revision_key(deployment)) for deployment in deployments}
            for key, size in self.serving_sizes(name).items():
                assert key in keys or size == serving.get(key, size), "what serves is as large as before"

    def serving_sizes(self, name: str) -> dict[tuple[str, str], int]:
        """How many replicas are wanted of each deployment's revision that serves."""
        application = self.state.applications.get(name)
        return {
            (key, one.serving): wanted_replicas(one, one.revisions[one.serving])
            for key, one in (application.deployments.items() if application else ())
            if one.serving
        }

    def asked(self, wish: Event) -> bool:
        """It is stored. When the controller dies before that, whoever asked hears of no answer and asks once more."""
        try:
            return self.step(wish) or self.step(wish)
        except ConfigError:  # nothing that it could be rolled back to, or no number that could be set by hand
            return False

    def crash_replica(self) -> None:
        if self.processes:
            self.end(self.rng.choice(sorted(self.processes)))

    def cut_line(self) -> None:
        attached = [process for process in self.processes.values() if process.line]
        if attached:
            self.reattach(self.rng.choice(attached))

    def crash_controller(self) -> None:
        self.incarnation += 1
        self.wakes_at_s = 0.0
        self.state = from_rows(to_rows(self.stored), self.now_s)
        self.step(Listed({process.replica_id: process.pid for process in self.processes.values()}))
        for process in tuple(self.processes.values()):
            process.line = 0
            self.later(self.rng.uniform(0, 2), lambda process=process: self.attach(process))

    def end(self, replica_id: str) -> None:
        if self.processes.pop(replica_id, None) is not None:
            self.tell(Ended(replica_id, "ended"))

    # What a replica does.

    def start(self, launch: Launch) -> None:
        replica_id = launch.replica.replica_id
        assert replica_id not in self.launched, "an id is never used twice"
        self.launched.add(replica_id)
        process = Process(replica_id, next(self.pids), fails=launch.spec.version == "fails")
        self.processes[replica_id] = process
        self.tell(Launched(replica_id, process.pid))
        self.later(self.rng.uniform(0, 0.1), lambda: self.attach(process))
        self.later(self.rng.uniform(0.1, 2), lambda: self.construct(process))

    def attach(self, process: Process) -> None:
        process.word = process.word or ReplicaEvent.SAID_STARTING
        process.line = next(self.lines)
        self.say(process, process.word)

    def reattach(self, process: Process) -> None:
        self.tell(Detached(process.replica_id, process.line))
        process.line = 0
        self.later(self.rng.uniform(0, 2), lambda: self.attach(process))

    def construct(self, process: Process) -> None:
        process.word = ReplicaEvent.SAID_FAILED if process.fails else ReplicaEvent.SAID_READY
        if process.line:
            self.say(process, process.word)
        if process.fails:
            self.later(self.rng.uniform(0.1, 1), lambda: self.end(process.replica_id))

    def say(self, process: Process, word: ReplicaEvent) -> None:
        if process.replica_id in self.processes and (self.calm or self.rng.random() < 0.95):
            self.later(0.01, Said(process.replica_id, process.line, word, process.pid, "user's traceback"))
        elif process.replica_id in self.processes:
            self.reattach(process)  # a word that was lost is a line that broke

    def obey(self) -> None:
        for replica_id, wanted in orders(self.state).items():
            process = self.processes.get(replica_id)
            if process and process.line and not process.draining and wanted.drain_by_s < inf:
                process.draining = True
                process.word = ReplicaEvent.SAID_DRAINING
                hangs = self.rng.random() < 0.1
                self.later(100.0 if hangs else self.rng.uniform(0, 2), lambda name=replica_id: self.end(name))

    # What the controller does, as its loop does it.

    def step(self, event: Event | None) -> bool:
        """One step of the controller; False when it died before anything of it was stored."""
        before = self.state
        state = apply(self.state, event, self.now_s) if event else self.state
        step = reconcile(state, self.now_s)
        if next(self.steps) % 8 == 0:
            again = reconcile(step.state, self.now_s)
            assert (again.state, again.actions) == (step.state, ()), "called twice, there is nothing left to do"
        if step.state is not self.stored and self.dies():
            self.crash_controller()
            return False
        self.state = self.stored = step.state
        self.check(before)
        for action in step.actions:
            if self.dies():
                self.later(0.0, self.crash_controller)  # the others were stored and never done
                break
            match action:
                case Launch():
                    self.check_launch(action)
                    self.start(action)
                case Kill(replica_id):
                    self.end(replica_id)
        self.obey()
        if step.wake_at_s < inf and not self.now_s < self.wakes_at_s <= step.wake_at_s:
            self.wakes_at_s = step.wake_at_s
            self.later(step.wake_at_s - self.now_s, None)
        return True

    def dies(self) -> bool:
        """Whether the controller dies before this store write, or before this action."""
        point = next(self.crash_points)
        return point == self.dies_at if self.dies_at is not None else not self.calm and self.rng.random() < 0.01

    # What must always hold.

    def check_launch(self, launch: Launch) -> None:
        revision = self.state.revision_of(launch.replica)
        assert revision is not None
        assert not revision.gave_up, "what was given up is not tried again"
        application = self.state.applications[launch.replica.application]
        deployment = application.deployments[launch.replica.deployment]
        aim = aimed_at(application, deployment)
        key = (launch.replica.application, launch.replica.deployment)
        there = [r for r in self.state.replicas.values() if (r.application, r.deployment) == key]
        if is_bounded(deployment, aim) and any(replica.revision != aim for replica in there):
            most = wanted_replicas(deployment, deployment.revisions[aim]) + limits_of(deployment, aim).surge
            if aim not in serving_revisions(deployment):
                serving = deployment.revisions[deployment.serving] if deployment.serving else revision
                most = max(most, wanted_replicas(deployment, serving) + limits_of(deployment, aim).surge)
            assert len(there) <= most, "more processes than max_surge allows"

    def check(self, before: MeshState) -> None:
        if self.state is before:
            return
        taken: set[tuple[str, str, str, int]] = set()
        for replica in self.state.replicas.values():
            if replica.live:
                place = (replica.application, replica.deployment, replica.revision, replica.rank)
                assert place not in taken, "one launch for one place"
                taken.add(place)
                revision = self.state.revision_of(replica)
                assert revision is not None
                deployment = self.state.applications[replica.application].deployments[replica.deployment]
                over = replica.rank >= wanted_replicas(deployment, revision)
                assert not over or replica.state is ReplicaState.RUNNING, (
                    "too many only while one stands in for another"
                )
        self.check_endpoints(before)

    def check_endpoints(self, before: MeshState) -> None:
        """Nothing that works leaves an endpoint set before as many others are in it as there have to be."""
        after: dict[tuple[str, str], set[str]] = {
            (name, deployment): set() for name, one in self.state.applications.items() for deployment in one.deployments
        }
        for replica in self.state.replicas.values():
            key = (replica.application, replica.deployment)
            if replica.state is ReplicaState.RUNNING and key in after:
                deployment = self.state.applications[key[0]].deployments[key[1]]
                if replica.revision in serving_revisions(deployment):
                    after[key].add(replica.replica_id)
        for key, ids in self.endpoints.items():
            application = self.state.applications.get(key[0])
            if ids == after.get(key) or application is None or application.deleting:
                continue
            one = application.deployments.get(key[1])
            if one is None or not one.wished:
                continue  # it leaves, and its application has taken the others' place
            working = {name for name in ids if name in self.processes and self.processes[name].line}
            working = {name for name in working if not self.processes[name].draining}
            working = {name for name in working if before.replicas[name].state is ReplicaState.RUNNING}
            if working - after[key]:
                least = self.least_ready(application, one)
                assert len(after[key]) >= min(len(working), least), "served fewer than max_unavailable allows"
        self.endpoints = after

    def least_ready(self, application: ApplicationState, deployment: DeploymentState) -> int:
        aim = aimed_at(application, deployment)
        serving = deployment.revisions[deployment.serving]
        if is_bounded(deployment, aim) or deployment.also_serving:
            wanted = wanted_replicas(deployment, deployment.revisions[aim])
            return min(wanted - limits_of(deployment, aim).unavailable, wanted_replicas(deployment, serving))
        return wanted_replicas(deployment, serving)

    # What must hold in the end.

    def check_end(self) -> None:
        shown = {one.name: one for one in status(self.state, 1, "/run", self.now_s).applications}
        sets = endpoint_sets(self.state, "/run")
        assert shown.keys() == self.wishes.keys()
        for name, spec in self.wishes.items():
            failing = {deployment.name for deployment in spec.deployments if deployment.version == "fails"}
            assert shown[name].phase == (pb.PHASE_DEPLOY_FAILED if failing else pb.PHASE_RUNNING)
            for deployment_name, deployment in self.state.applications[name].deployments.items():
                ready = {endpoint.replica_id for endpoint in sets[name, deployment_name].endpoints}
                assert ready == self.endpoints[name, deployment_name]
                if failing and (serving := deployment.revisions.get(deployment.serving)) and not serving.gave_up:
                    assert len(ready) == wanted_replicas(deployment, serving), "what was there serves on, whole"
            if failing:
                continue
            assert {deployment.name for deployment in shown[name].deployments} == {d.name for d in spec.deployments}
            for deployment in shown[name].deployments:
                assert {replica.state for replica in deployment.replicas} == {pb.REPLICA_STATE_RUNNING}
                assert sorted(replica.rank for replica in deployment.replicas) == list(range(deployment.num_replicas))
        known = {replica_id: replica.pid for replica_id, replica in self.state.replicas.items()}
        assert known == {process.replica_id: process.pid for process in self.processes.values()}


def lived_through(seed: int, dies_at: int | None = None) -> World:
    """A world that has run to its end, and ended well."""
    world = World(seed, dies_at)
    try:
        world.run()
        world.check_end()
    except Exception as error:
        error.add_note(f"in World(seed={seed}, dies_at={dies_at})")
        raise
    return world


def live_all(seeds: range) -> None:
    """Worlds of these seeds; raises what went wrong in the first that does not end well."""
    for seed in seeds:
        lived_through(seed)


def live_with_every_death(seed: int) -> None:
    """One world for each store write and each action of the controller, before which it dies."""
    points = next(lived_through(seed, dies_at=-1).crash_points)
    for point in range(points):
        lived_through(seed, dies_at=point)
