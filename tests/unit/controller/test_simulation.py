"""The pure controller in a world that breaks: crashes of replicas and of the controller, late, repeated and lost words.

No socket, no sleep, no clock: a queue of what happens when. After every step what must always hold is checked, and
when the faults have ended the world must become what is wished for.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from math import inf

import pytest

from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.events import Applied, Deleted, Detached, Ended, Event, Launched, Listed, Said, apply
from mesh.controller.reconcile import Kill, Launch, reconcile
from mesh.controller.rows import from_rows, to_rows
from mesh.controller.state import MeshState, ReplicaEvent, ReplicaState
from mesh.controller.views import endpoint_sets, orders, status
from mesh.v1 import controller_pb2 as pb

RUNTIME = Runtime("python", (), "/")
FAULTS_END_S = 30.0
SETTLED_S = 120.0


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
    """The machine, the replicas, the store, and the network between them and the controller."""

    seed: int
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
        for _ in range(8):
            self.later(self.rng.uniform(0, FAULTS_END_S), self.rng.choice((self.wish, self.wish, self.crash_replica)))
        for fault in (self.crash_replica, self.cut_line, self.crash_controller):
            for _ in range(self.rng.randrange(4)):
                self.later(self.rng.uniform(0, FAULTS_END_S), fault)
        while self.queue and self.now_s < SETTLED_S:
            self.now_s, _, incarnation, happening = heapq.heappop(self.queue)
            if callable(happening):
                happening()
            elif incarnation == self.incarnation:  # what was said to a controller that has died is lost
                self.step(happening)

    # What the world does.

    def wish(self) -> None:
        name = self.rng.choice(("a", "b"))
        if name in self.wishes and self.rng.random() < 0.2:
            del self.wishes[name]
            self.step(Deleted(name))
            return
        deployments = [
            DeploymentSpec(
                name,
                deployment,
                RUNTIME,
                import_path="module:Target",
                version=self.rng.choice(("1", "1", "2", "3", "fails")),
                config=DeploymentConfig(
                    num_replicas=self.rng.randint(1, 3),
                    max_ongoing_requests=self.rng.randint(1, 9),
                    graceful_shutdown_timeout_s=2.0,
                ),
            )
            for deployment in self.rng.sample(("X", "Y", "Z"), self.rng.randint(1, 3))
        ]
        before = self.state.applications.get(name)
        if before is not None and before.deleting:  # what was deleted may go, whatever comes after it
            self.endpoints = {key: ids for key, ids in self.endpoints.items() if key[0] != name}
        self.wishes[name] = ApplicationSpec(name, deployments[0].name, tuple(deployments), f"/{name}")
        self.step(Applied(self.wishes[name]))

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
        self.state = from_rows(to_rows(self.state), self.now_s)
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

    def step(self, event: Event | None) -> None:
        before = self.state
        state = apply(self.state, event, self.now_s) if event else self.state
        step = reconcile(state, self.now_s)
        if next(self.steps) % 5 == 0:
            again = reconcile(step.state, self.now_s)
            assert (again.state, again.actions) == (step.state, ()), "called twice, there is nothing left to do"
        self.state = step.state
        self.check(before)
        for action in step.actions:
            if not self.calm and self.rng.random() < 0.01:
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

    # What must always hold.

    def check_launch(self, launch: Launch) -> None:
        revision = self.state.revision_of(launch.replica)
        assert revision is not None
        assert not revision.gave_up, "what was given up is not tried again"

    def check(self, before: MeshState) -> None:
        taken: set[tuple[str, str, str, int]] = set()
        for replica in self.state.replicas.values():
            if replica.live:
                place = (replica.application, replica.deployment, replica.revision, replica.rank)
                assert place not in taken, "one launch for one place"
                taken.add(place)
                revision = self.state.revision_of(replica)
                assert revision is not None
                over = replica.rank >= revision.spec.config.num_replicas
                assert not over or replica.state is ReplicaState.RUNNING, (
                    "too many only while one stands in for another"
                )
        if self.state != before:
            self.check_endpoints(before)

    def check_endpoints(self, before: MeshState) -> None:
        """Nothing that works leaves an endpoint set before as many others are in it as are wished for."""
        after = {
            key: {endpoint.replica_id for endpoint in found.endpoints}
            for key, found in endpoint_sets(self.state, "/run").items()
        }
        for key, ids in self.endpoints.items():
            application = self.state.applications.get(key[0])
            if application is None or application.deleting or application.deployments.get(key[1]) is None:
                continue
            if not application.deployments[key[1]].wished:
                continue  # it leaves, and its application has taken the others' place
            working = {name for name in ids if name in self.processes and self.processes[name].line}
            working = {name for name in working if not self.processes[name].draining}
            working = {name for name in working if before.replicas[name].state is ReplicaState.RUNNING}
            if working - after[key]:
                deployment = application.deployments[key[1]]
                wished = deployment.revisions[deployment.serving].spec.config.num_replicas
                assert len(after[key]) >= min(len(working), wished), "served fewer than before an update"
        self.endpoints = after


SEEDS = range(1000)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_the_world_becomes_what_is_wished_for_once_the_faults_have_ended(seed: int) -> None:
    world = World(seed)
    world.run()

    shown = {application.name: application for application in status(world.state, 1, "/run", world.now_s).applications}
    assert shown.keys() == world.wishes.keys()
    for name, spec in world.wishes.items():
        failing = {deployment.name for deployment in spec.deployments if deployment.version == "fails"}
        assert shown[name].phase == (pb.PHASE_DEPLOY_FAILED if failing else pb.PHASE_RUNNING)
        if failing:
            continue
        assert {deployment.name for deployment in shown[name].deployments} == {d.name for d in spec.deployments}
        for deployment in shown[name].deployments:
            assert {replica.state for replica in deployment.replicas} == {pb.REPLICA_STATE_RUNNING}
            assert sorted(replica.rank for replica in deployment.replicas) == list(range(deployment.num_replicas))
    known = {replica_id: replica.pid for replica_id, replica in world.state.replicas.items()}
    assert known == {process.replica_id: process.pid for process in world.processes.values()}
