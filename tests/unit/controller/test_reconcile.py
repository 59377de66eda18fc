"""What is wished for, what happens, and what the controller makes of it, in situations of a few lines each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.events import (
    Applied,
    Deleted,
    Detached,
    Ended,
    Event,
    Listed,
    RolledBack,
    Said,
    Scaled,
    Silent,
    StopRequested,
    apply,
)
from mesh.controller.reconcile import Kill, Launch, reconcile, replica_id
from mesh.controller.rows import from_rows, to_rows
from mesh.controller.state import ATTACH_TIMEOUT_S, MeshState, ReplicaEvent, ReplicaState
from mesh.controller.views import endpoint_sets, routes, status
from mesh.errors import ConfigError, DeploymentNotFound
from mesh.v1 import controller_pb2 as pb

RUNTIME = Runtime("python", (), "/")


def deployment(
    name: str, num_replicas: int = 1, *, version: str = "1", application: str = "app", **settings: float
) -> DeploymentSpec:
    config = DeploymentConfig(num_replicas=num_replicas, graceful_shutdown_timeout_s=5.0, **settings)  # type: ignore[arg-type]
    return DeploymentSpec(application, name, RUNTIME, version=version, import_path="module:Target", config=config)


def application(*deployments: DeploymentSpec, route_prefix: str | None = "/", name: str = "app") -> ApplicationSpec:
    return ApplicationSpec(name, deployments[0].name, deployments, route_prefix)


class Mesh:
    """The pure controller with a clock in hand; ``did`` are the actions of the last step."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.state = MeshState()
        self.did: tuple[Launch | Kill, ...] = ()
        self.wake_at_s = 0.0
        self._lines = 0

    def happens(self, *events: Event) -> None:
        for event in events:
            self.state = apply(self.state, event, self.now_s)
        step = reconcile(self.state, self.now_s)
        self.state, self.did, self.wake_at_s = step.state, step.actions, step.wake_at_s

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.happens()

    def say(self, word: ReplicaEvent, *ids: str, failure: str = "") -> None:
        for name in ids:
            self._lines += 1
            self.happens(Said(name, self._lines, word, pid=self._lines, failure=failure))

    def run(self, spec: ApplicationSpec) -> None:
        """Applies it, and lets all that is launched become ready."""
        self.happens(Applied(spec))
        self.say(ReplicaEvent.SAID_READY, *self.launched)

    @property
    def launched(self) -> list[str]:
        return [action.replica.replica_id for action in self.did if isinstance(action, Launch)]

    @property
    def killed(self) -> list[str]:
        return [action.replica_id for action in self.did if isinstance(action, Kill)]

    def ids(self, name: str, state: ReplicaState | None = None) -> list[str]:
        found = [replica for replica in self.state.replicas.values() if replica.deployment == name]
        return [replica.replica_id for replica in found if state is None or replica.state is state]

    def endpoints(self, name: str) -> list[str]:
        found = endpoint_sets(self.state, "/run")["app", name]
        return [endpoint.replica_id for endpoint in found.endpoints]

    def phase(self, name: str = "app") -> pb.Phase:
        shown = {a.name: a.phase for a in status(self.state, 1, "/run", self.now_s).applications}
        return shown[name]


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_a_new_application_is_launched_and_serves_what_is_ready(mesh: Mesh) -> None:
    mesh.happens(Applied(application(deployment("A", 2))))
    first, second = mesh.launched
    assert (mesh.endpoints("A"), routes(mesh.state), mesh.phase()) == ([], (), pb.PHASE_DEPLOYING)

    mesh.say(ReplicaEvent.SAID_READY, first)
    assert (mesh.endpoints("A"), mesh.phase()) == ([first], pb.PHASE_DEPLOYING)
    assert [(route.prefix, route.deployment) for route in routes(mesh.state)] == [("/", "A")]

    mesh.say(ReplicaEvent.SAID_READY, second)
    assert (mesh.endpoints("A"), mesh.phase(), mesh.launched) == ([first, second], pb.PHASE_RUNNING, [])


def test_ids_differ_for_as_many_launches_as_there_are_digits() -> None:
    assert len({replica_id("A", number) for number in range(100_000)}) == 100_000


class TestDeath:
    """A replica ends and nobody wished for it."""

    def test_one_that_ran_for_a_while_is_replaced_at_once(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        mesh.now_s += 10
        mesh.happens(Ended(mesh.ids("A")[0], "was ended by SIGKILL"))
        assert (len(mesh.launched), len(mesh.endpoints("A"))) == (1, 1)

    def test_early_ends_are_replaced_with_pauses_that_double_up_to_ten_seconds_and_never_stop(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        pauses = []
        for _ in range(10):
            mesh.happens(Ended(mesh.ids("A")[0], "ended"))
            assert mesh.launched == []
            pauses.append(round(mesh.wake_at_s - mesh.now_s, 3))
            mesh.passes(mesh.wake_at_s - mesh.now_s)
            mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]

    def test_two_seconds_of_work_end_the_series(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        mesh.happens(Ended(mesh.ids("A")[0], "ended"))
        mesh.passes(0.1)
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        shown = status(mesh.state, 1, "/run", mesh.now_s).applications[0].deployments[0]
        assert (shown.failed_starts, shown.restarts) == (1, 1)
        mesh.passes(mesh.wake_at_s - mesh.now_s)
        shown = status(mesh.state, 1, "/run", mesh.now_s).applications[0].deployments[0]
        assert (shown.failed_starts, shown.message) == (0, "")

    def test_one_that_lost_its_line_is_killed_and_replaced_after_ten_seconds(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        (replica,) = mesh.ids("A")
        mesh.happens(Detached(replica, mesh.state.replicas[replica].line))
        assert mesh.wake_at_s == mesh.now_s + ATTACH_TIMEOUT_S
        mesh.passes(ATTACH_TIMEOUT_S - 0.1)
        assert (mesh.killed, mesh.endpoints("A")) == ([], [replica])
        mesh.passes(0.1)
        assert (mesh.killed, len(mesh.launched), mesh.endpoints("A")) == ([replica], 1, [])

    def test_one_that_is_attached_again_in_time_stays(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        (replica,) = mesh.ids("A")
        old_line = mesh.state.replicas[replica].line
        mesh.happens(Detached(replica, old_line))
        mesh.say(ReplicaEvent.SAID_READY, replica)
        mesh.happens(Detached(replica, old_line))
        mesh.passes(ATTACH_TIMEOUT_S + 1)
        assert (mesh.killed, mesh.endpoints("A")) == ([], [replica])


class TestFailedStart:
    """The constructor raises."""

    def fail_all(self, mesh: Mesh) -> list[str]:
        launched = mesh.launched
        mesh.say(ReplicaEvent.SAID_FAILED, *launched, failure="ValueError: no model\nTraceback ...")
        for name in launched:
            mesh.happens(Ended(name, "ended with exit code 1"))
        return launched

    def test_three_tries_and_no_more(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A", 2))))
        tries = [self.fail_all(mesh)]
        for pause_s in (0.1, 0.4):
            mesh.passes(pause_s - 0.01)
            assert mesh.launched == []
            mesh.passes(0.01)
            tries.append(self.fail_all(mesh))
        assert [len(launched) for launched in tries] == [2, 2, 2], "replicas that fail together fail once"
        assert mesh.phase() == pb.PHASE_DEPLOY_FAILED
        mesh.passes(1000)
        assert mesh.launched == []

    def test_a_failure_of_the_same_round_does_not_put_off_the_next(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A", 2))))
        first, second = mesh.launched
        mesh.say(ReplicaEvent.SAID_FAILED, first)
        mesh.now_s += 0.09
        mesh.say(ReplicaEvent.SAID_FAILED, second)
        mesh.passes(0.01)
        assert len(mesh.launched) == 2

    def test_the_traceback_is_shown_at_once(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A"))))
        mesh.say(ReplicaEvent.SAID_FAILED, *mesh.launched, failure="ValueError: no model\nTraceback ...")
        shown = status(mesh.state, 1, "/run", mesh.now_s).applications[0].deployments[0]
        assert (shown.phase, shown.message, shown.failed_starts) == (
            pb.PHASE_DEPLOYING,
            "ValueError: no model\nTraceback ...",
            1,
        )

    def test_one_that_says_that_it_failed_and_stays_is_killed(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A"))))
        (replica,) = mesh.launched
        mesh.say(ReplicaEvent.SAID_FAILED, replica)
        mesh.passes(1.0)
        assert replica in mesh.killed

    def test_applied_again_it_is_tried_again(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A"))))
        self.fail_all(mesh)
        for pause_s in (0.1, 0.4):
            mesh.passes(pause_s)
            self.fail_all(mesh)
        mesh.happens(Applied(application(deployment("A"))))
        assert (len(mesh.launched), mesh.phase()) == (1, pb.PHASE_DEPLOYING)

    def test_a_failed_update_leaves_the_old_serving_and_replaced(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        old = mesh.ids("A")
        mesh.now_s += 10
        mesh.happens(Applied(application(deployment("A", 2, version="2"))))
        self.fail_all(mesh)
        for pause_s in (0.1, 0.4):
            mesh.passes(pause_s)
            self.fail_all(mesh)
        assert (mesh.endpoints("A"), mesh.phase()) == (old, pb.PHASE_DEPLOY_FAILED)
        mesh.happens(Ended(old[0], "was ended by SIGKILL"))
        (launch,) = mesh.did
        assert isinstance(launch, Launch)
        assert launch.spec.version == "1"


class TestUpdate:
    """Something is applied over what runs."""

    def test_the_same_again_changes_nothing(self, mesh: Mesh) -> None:
        spec = application(deployment("A", 2))
        mesh.run(spec)
        before = mesh.state
        mesh.happens(Applied(spec))
        assert (mesh.did, mesh.state.replicas, mesh.phase()) == ((), before.replicas, pb.PHASE_RUNNING)

    def test_settings_change_without_a_restart(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        replicas = mesh.ids("A")
        mesh.happens(Applied(application(deployment("A", 2, max_ongoing_requests=7))))
        assert (mesh.did, mesh.ids("A", ReplicaState.RUNNING)) == ((), replicas)
        assert endpoint_sets(mesh.state, "/run")["app", "A"].config.max_ongoing_requests == 7

    @pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)], ids=["more", "fewer"])
    def test_the_number_of_replicas_changes_alone(self, mesh: Mesh, before: int, after: int) -> None:
        mesh.run(application(deployment("A", before)))
        replicas = mesh.ids("A")
        mesh.happens(Applied(application(deployment("A", after))))
        kept = replicas[: min(before, after)]
        assert mesh.endpoints("A") == kept, "the oldest stay"
        assert len(mesh.launched) == max(0, after - before)
        assert mesh.ids("A", ReplicaState.DRAINING) == replicas[after:]

    def test_new_code_serves_when_all_of_it_is_ready_and_then_the_old_is_drained(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        old = mesh.ids("A")
        mesh.happens(Applied(application(deployment("A", 2, version="2"))))
        first, second = mesh.launched
        mesh.say(ReplicaEvent.SAID_READY, first)
        assert (mesh.endpoints("A"), mesh.phase()) == (old, pb.PHASE_DEPLOYING)
        mesh.say(ReplicaEvent.SAID_READY, second)
        assert (mesh.endpoints("A"), mesh.phase()) == ([first, second], pb.PHASE_RUNNING)
        assert mesh.ids("A", ReplicaState.DRAINING) == old

    def test_an_application_switches_in_one_step(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A"), deployment("B")))
        old = mesh.endpoints("A") + mesh.endpoints("B")
        mesh.happens(Applied(application(deployment("A", version="2"), deployment("B", version="2"))))
        new_a, new_b = mesh.launched
        mesh.say(ReplicaEvent.SAID_READY, new_a)
        assert mesh.endpoints("A") + mesh.endpoints("B") == old
        mesh.say(ReplicaEvent.SAID_READY, new_b)
        assert mesh.endpoints("A") + mesh.endpoints("B") == [new_a, new_b]

    def test_nobody_waits_for_the_rest_when_the_old_is_dead(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A"), deployment("B")))
        mesh.happens(Applied(application(deployment("A", version="2"), deployment("B", version="2"))))
        new_a, _ = mesh.launched
        mesh.happens(Ended(mesh.ids("A")[0], "ended"))
        mesh.say(ReplicaEvent.SAID_READY, new_a)
        assert mesh.endpoints("A") == [new_a]

    def test_a_newer_wish_drops_the_one_that_is_still_coming_up(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        old = mesh.ids("A")
        mesh.happens(Applied(application(deployment("A", version="2"))))
        coming = mesh.launched
        mesh.happens(Applied(application(deployment("A", version="1"))))
        assert (mesh.killed, mesh.endpoints("A"), mesh.phase()) == (coming, old, pb.PHASE_RUNNING)

    def test_the_route_follows_the_driver_and_what_is_gone_goes_after_it(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("Old"), deployment("Inner")))
        old, inner = mesh.ids("Old"), mesh.ids("Inner")
        mesh.happens(Applied(application(deployment("New"))))
        assert [route.deployment for route in routes(mesh.state)] == ["Old"]
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        assert [route.deployment for route in routes(mesh.state)] == ["New"]
        assert mesh.ids("Old", ReplicaState.DRAINING) == old
        assert mesh.ids("Inner", ReplicaState.RUNNING) == inner, "requests that the old driver has begun call it"
        mesh.happens(Ended(old[0], "ended"))
        assert mesh.ids("Inner", ReplicaState.DRAINING) == inner
        mesh.happens(Ended(inner[0], "ended"))
        assert list(mesh.state.applications["app"].deployments) == ["New"]

    def test_a_prefix_that_another_application_has_is_refused_naming_both(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        other = application(deployment("B", application="other"), name="other")
        with pytest.raises(ConfigError, match=r"'other' cannot have the route prefix '/': application 'app' has it"):
            mesh.happens(Applied(other))


class TestBoundedUpdate:
    """``max_surge`` has no room for all new replicas beside the old ones."""

    def spec(self, version: str, **settings: float) -> ApplicationSpec:
        return application(deployment("A", 4, version=version, **(settings or {"max_surge": 1})))

    def versions(self, mesh: Mesh) -> list[str]:
        """Of the replicas that are in the endpoint set."""
        found = (mesh.state.replicas[name] for name in mesh.endpoints("A"))
        revisions = mesh.state.applications["app"].deployments["A"].revisions
        return [revisions[replica.revision].spec.version for replica in found]

    def gone(self, mesh: Mesh) -> None:
        """All that drain have ended."""
        for name in mesh.ids("A", ReplicaState.DRAINING):
            mesh.happens(Ended(name, "ended with exit code 0"))

    def test_each_new_one_that_is_ready_lets_an_old_one_go(self, mesh: Mesh) -> None:
        mesh.run(self.spec("1"))
        mesh.happens(Applied(self.spec("2")))
        for new in range(1, 5):
            (launched,) = mesh.launched
            mesh.say(ReplicaEvent.SAID_READY, launched)
            assert sorted(self.versions(mesh)) == ["1"] * (4 - new) + ["2"] * new
            assert mesh.launched == [], "one that drains still holds its memory"
            self.gone(mesh)
        assert (mesh.phase(), mesh.launched) == (pb.PHASE_RUNNING, [])

    def test_without_a_surge_an_old_one_goes_first(self, mesh: Mesh) -> None:
        limits = {"max_surge": 0, "max_unavailable": 1}
        mesh.run(self.spec("1", **limits))
        mesh.happens(Applied(self.spec("2", **limits)))
        assert (self.versions(mesh), mesh.launched) == (["1"] * 3, [])
        self.gone(mesh)
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        assert self.versions(mesh) == ["1", "1", "2"]

    def test_an_old_one_that_dies_is_replaced_while_the_new_one_comes_up(self, mesh: Mesh) -> None:
        mesh.run(self.spec("1"))
        mesh.now_s += 10
        mesh.happens(Applied(self.spec("2")))
        mesh.happens(Ended(mesh.endpoints("A")[0], "was ended by SIGKILL"))
        (launch,) = mesh.did
        assert isinstance(launch, Launch)
        assert launch.spec.version == "1"

    def test_a_revision_that_fails_in_the_middle_goes_and_the_old_one_comes_back(self, mesh: Mesh) -> None:
        mesh.run(self.spec("1"))
        mesh.now_s += 10
        mesh.happens(Applied(self.spec("2")))
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        self.gone(mesh)
        for pause_s in (0.1, 0.4, 0.0):
            (failing,) = mesh.launched
            mesh.happens(Ended(failing, "ended with exit code 1"))
            mesh.passes(pause_s)
        assert mesh.phase() == pb.PHASE_DEPLOY_FAILED
        assert self.versions(mesh) == ["1"] * 3 + ["2"], "nobody goes before the old one is back"
        mesh.say(ReplicaEvent.SAID_READY, *mesh.ids("A", ReplicaState.STARTING))
        assert self.versions(mesh) == ["1"] * 4
        assert len(mesh.ids("A", ReplicaState.DRAINING)) == 1

    def test_the_next_wish_takes_over_what_the_one_before_has_begun(self, mesh: Mesh) -> None:
        mesh.run(self.spec("1"))
        mesh.happens(Applied(self.spec("2")))
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        self.gone(mesh)
        mesh.happens(Applied(self.spec("3")))
        assert sorted(self.versions(mesh)) == ["1", "1", "1", "2"], "it serves as long as it is needed"
        for _ in range(4):
            self.gone(mesh)
            mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        assert (self.versions(mesh), mesh.phase()) == (["3"] * 4, pb.PHASE_RUNNING)

    def test_nothing_is_mixed_before_all_of_the_application_has_shown_that_it_starts(self, mesh: Mesh) -> None:
        def graph(version: str) -> ApplicationSpec:
            return application(deployment("A", 4, version=version, max_surge=1), deployment("B", version=version))

        mesh.run(graph("1"))
        mesh.happens(Applied(graph("2")))
        new_a, new_b = mesh.launched
        mesh.say(ReplicaEvent.SAID_READY, new_a)
        assert self.versions(mesh) == ["1"] * 4
        mesh.say(ReplicaEvent.SAID_READY, new_b)
        assert sorted(self.versions(mesh)) == ["1", "1", "1", "2"]

    def test_what_was_begun_beside_is_taken_back_when_another_deployment_fails(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A"), deployment("B")))
        mesh.happens(Applied(application(deployment("A", version="2"), deployment("B", version="2"))))
        new_a, failing = mesh.launched
        mesh.say(ReplicaEvent.SAID_READY, new_a)
        for pause_s in (0.1, 0.4, 0.0):
            mesh.happens(Ended(failing, "ended with exit code 1"))
            mesh.passes(pause_s)
            failing = mesh.launched[0] if mesh.launched else ""
        assert (mesh.ids("A", ReplicaState.DRAINING), mesh.phase()) == ([new_a], pb.PHASE_DEPLOY_FAILED)


class TestRollback:
    def test_after_a_failure_it_is_what_ran_last_and_otherwise_what_ran_before(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        mesh.run(application(deployment("A", version="2")))
        mesh.happens(Applied(application(deployment("A", version="3"))))
        for expected in ("2", "1", "2"):
            mesh.happens(RolledBack("app"))
            mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
            assert mesh.state.applications["app"].spec.deployments[0].version == expected
            assert mesh.phase() == pb.PHASE_RUNNING

    def test_a_number_that_was_set_by_hand_stays(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        mesh.run(application(deployment("A", version="2")))
        mesh.happens(Scaled("app", "A", 3))
        mesh.say(ReplicaEvent.SAID_READY, *mesh.launched)
        mesh.happens(RolledBack("app"))
        (spec,) = mesh.state.applications["app"].spec.deployments
        assert (spec.version, spec.config.num_replicas) == ("1", 3)

    def test_what_can_be_rolled_back_to_outlives_the_controller(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        mesh.run(application(deployment("A", version="2")))
        mesh.state = from_rows(to_rows(mesh.state), mesh.now_s)
        mesh.happens(RolledBack("app"))
        assert mesh.state.applications["app"].spec.deployments[0].version == "1"

    def test_nothing_before_is_an_error(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        with pytest.raises(ConfigError, match="'app' cannot be rolled back: nothing that was deployed under this name"):
            mesh.happens(RolledBack("app"))


def test_a_replica_whose_loop_is_held_is_killed_and_replaced_at_once(mesh: Mesh) -> None:
    mesh.run(application(deployment("A")))
    mesh.now_s += 10
    (replica,) = mesh.ids("A")
    mesh.happens(Silent(replica, mesh.state.replicas[replica].line - 1, 40.0))
    assert mesh.killed == [], "an older line says nothing about it"
    mesh.happens(Silent(replica, mesh.state.replicas[replica].line, 40.0))
    assert (mesh.killed, len(mesh.launched), mesh.endpoints("A")) == ([replica], 1, [])
    assert "its event loop is held" in status(mesh.state, 1, "/run", mesh.now_s).applications[0].deployments[0].message


class TestDelete:
    def test_the_driver_drains_first_and_then_what_it_calls(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A"), deployment("B")))
        (driver,), (inner,) = mesh.ids("A"), mesh.ids("B")
        mesh.happens(Deleted("app"))
        assert routes(mesh.state) == ()
        assert endpoint_sets(mesh.state, "/run")["app", "A"].deleted
        assert mesh.ids("B", ReplicaState.RUNNING) == [inner]
        mesh.happens(Ended(driver, "ended"))
        assert mesh.ids("B", ReplicaState.DRAINING) == [inner]
        mesh.happens(Ended(inner, "ended"))
        assert mesh.state.applications == {}

    def test_who_does_not_drain_in_time_is_killed_and_again_until_it_is_gone(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        (replica,) = mesh.ids("A")
        mesh.happens(Deleted("app"))
        mesh.passes(5.9)
        assert mesh.killed == []
        for seconds in (0.1, 1.0, 1.0):
            mesh.passes(seconds)
            assert mesh.killed == [replica]

    def test_what_is_not_there_cannot_be_deleted(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        with pytest.raises(DeploymentNotFound, match="no application 'nope'; there are: app"):
            mesh.happens(Deleted("nope"))

    def test_applied_again_meanwhile_it_starts_afresh(self, mesh: Mesh) -> None:
        spec = application(deployment("A"))
        mesh.run(spec)
        (old,) = mesh.ids("A")
        mesh.happens(Deleted("app"))
        mesh.happens(Applied(spec))
        (new,) = mesh.launched
        mesh.say(ReplicaEvent.SAID_READY, new)
        mesh.happens(Ended(old, "ended"))
        assert (mesh.endpoints("A"), mesh.phase()) == ([new], pb.PHASE_RUNNING)


class TestRestart:
    """The controller has died; the next one has the rows and what the engine lists."""

    def restart(self, mesh: Mesh, processes: Callable[[str], bool]) -> None:
        listed = {name: 1000 + number for number, name in enumerate(mesh.state.replicas) if processes(name)}
        mesh.state = from_rows(to_rows(mesh.state), mesh.now_s)
        mesh.happens(Listed(listed))

    def test_what_runs_is_taken_over_and_keeps_serving(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        endpoints = mesh.endpoints("A")
        self.restart(mesh, lambda name: True)
        assert (mesh.did, mesh.endpoints("A"), mesh.phase()) == ((), endpoints, pb.PHASE_RUNNING)
        assert len(routes(mesh.state)) == 1

    def test_what_is_missing_is_launched_at_once(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        first, second = mesh.ids("A")
        self.restart(mesh, lambda name: name == first)
        (new,) = mesh.launched
        assert new not in (first, second)
        assert mesh.endpoints("A") == [first]

    def test_who_is_listed_and_does_not_attach_is_killed_and_replaced_after_ten_seconds(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A", 2)))
        first, second = mesh.ids("A")
        self.restart(mesh, lambda name: True)
        mesh.say(ReplicaEvent.SAID_READY, first)
        mesh.passes(ATTACH_TIMEOUT_S)
        assert (mesh.killed, len(mesh.launched)) == ([second], 1)

    def test_who_was_starting_may_become_ready(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A"))))
        (replica,) = mesh.launched
        self.restart(mesh, lambda name: True)
        assert mesh.launched == []
        mesh.say(ReplicaEvent.SAID_READY, replica)
        assert mesh.phase() == pb.PHASE_RUNNING

    def test_who_was_draining_drains_on(self, mesh: Mesh) -> None:
        mesh.run(application(deployment("A")))
        (replica,) = mesh.ids("A")
        mesh.happens(Deleted("app"))
        self.restart(mesh, lambda name: True)
        assert (mesh.ids("A", ReplicaState.DRAINING), mesh.killed) == ([replica], [])
        mesh.passes(5.9)
        assert mesh.killed == []
        mesh.passes(0.1)
        assert mesh.killed == [replica]

    def test_what_was_given_up_stays_given_up(self, mesh: Mesh) -> None:
        mesh.happens(Applied(application(deployment("A"))))
        for pause_s in (0.1, 0.4, 0.0):
            (replica,) = mesh.launched
            mesh.happens(Ended(replica, "ended with exit code 1"))
            mesh.passes(pause_s)
        self.restart(mesh, lambda name: True)
        assert (mesh.launched, mesh.phase()) == ([], pb.PHASE_DEPLOY_FAILED)
        assert "ended with exit code 1" in status(mesh.state, 1, "/run", 0.0).applications[0].message

    def test_a_process_that_nobody_knows_is_killed(self, mesh: Mesh) -> None:
        mesh.happens(Listed({"Stray#1": 7}))
        assert mesh.killed == ["Stray#1"]


def test_a_replica_that_nobody_knows_is_killed_when_it_speaks(mesh: Mesh) -> None:
    mesh.say(ReplicaEvent.SAID_READY, "Stray#1")
    assert mesh.killed == ["Stray#1"]


def test_told_to_stop_all_replicas_are_drained_and_the_wishes_stay(mesh: Mesh) -> None:
    mesh.run(application(deployment("A"), deployment("B")))
    (driver,), (inner,) = mesh.ids("A"), mesh.ids("B")
    mesh.happens(StopRequested())
    assert mesh.ids("A", ReplicaState.DRAINING) == [driver]
    mesh.happens(Ended(driver, "ended"))
    mesh.happens(Ended(inner, "ended"))
    assert (mesh.did, mesh.state.replicas) == ((), {})
    assert list(mesh.state.applications["app"].deployments) == ["A", "B"]


def test_gpus_are_shared_out_and_wanted_by_none_that_did_not_ask() -> None:
    state = apply(MeshState(), Applied(application(deployment("A", 3, num_gpus=0.5), deployment("B"))), 0.0)
    step = reconcile(state, 0.0, gpus=("0", "1"))
    assert [replica.gpus for replica in step.state.replicas.values()] == [("0",), ("1",), ("0",), ()]


def test_scaling_adds_and_drains_replicas_of_one_deployment_and_restarts_none() -> None:
    mesh = Mesh()
    mesh.run(application(deployment("Model", 2), deployment("Other")))
    before = set(mesh.state.replicas)
    mesh.happens(Scaled("app", "Model", 3))
    (added,) = mesh.launched
    assert added.startswith("Model#")
    mesh.say(ReplicaEvent.SAID_READY, added)
    mesh.happens(Scaled("app", "Model", 1))
    drained = {key for key, replica in mesh.state.replicas.items() if replica.state is ReplicaState.DRAINING}
    assert len(drained) == 2
    assert drained <= {name for name in before | {added} if name.startswith("Model#")}
    assert [one.config.num_replicas for one in mesh.state.applications["app"].spec.deployments] == [1, 1]


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        pytest.param(Scaled("ap", "Model", 2), "there is no application 'ap'; there are: app", id="application"),
        pytest.param(Scaled("app", "Mode", 2), "no deployment 'Mode'; its deployments are: Model", id="deployment"),
    ],
)
def test_scaling_what_is_not_there_names_what_is(wish: Scaled, says: str) -> None:
    mesh = Mesh()
    mesh.run(application(deployment("Model")))
    with pytest.raises(DeploymentNotFound, match=says):
        mesh.happens(wish)


def test_what_is_being_deleted_cannot_be_scaled() -> None:
    mesh = Mesh()
    mesh.run(application(deployment("Model")))
    mesh.happens(Deleted("app"))
    with pytest.raises(DeploymentNotFound, match="'app' is being deleted"):
        mesh.happens(Scaled("app", "Model", 2))


def test_scaling_after_a_failed_update_scales_what_serves_and_repeats_nothing() -> None:
    mesh = Mesh()
    mesh.run(application(deployment("Model", 2)))
    mesh.happens(Applied(application(deployment("Model", 2, version="2"))))
    for _ in range(3):
        starting = mesh.ids("Model", ReplicaState.STARTING)
        mesh.say(ReplicaEvent.SAID_FAILED, *starting, failure="no model")
        mesh.happens(*(Ended(name, "ended") for name in starting))
        mesh.passes(1)
    assert (mesh.phase(), len(mesh.endpoints("Model"))) == (pb.PHASE_DEPLOY_FAILED, 2)

    mesh.happens(Scaled("app", "Model", 3))
    (added,) = mesh.launched
    serving = mesh.state.applications["app"].deployments["Model"].serving
    assert mesh.state.replicas[added].revision == serving
    mesh.say(ReplicaEvent.SAID_READY, added)
    assert (mesh.phase(), len(mesh.endpoints("Model"))) == (pb.PHASE_DEPLOY_FAILED, 3)
    (shown,) = status(mesh.state, 1, "/run", mesh.now_s).applications
    assert (shown.deployments[0].message, shown.deployments[0].num_replicas) == ("no model", 3)

    mesh.happens(RolledBack("app"))
    assert (mesh.phase(), mesh.launched, len(mesh.endpoints("Model"))) == (pb.PHASE_RUNNING, [], 3)


def test_scaling_up_leaves_a_revision_as_proven_as_it_was() -> None:
    mesh = Mesh()
    mesh.run(application(deployment("Model")))
    mesh.happens(Scaled("app", "Model", 2))
    assert mesh.phase() == pb.PHASE_DEPLOYING
    (revision,) = mesh.state.applications["app"].deployments["Model"].revisions.values()
    assert revision.established
