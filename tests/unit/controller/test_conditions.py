"""What follows from the condition of a user's object: a rollout that waits or fails, a replica that is replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.config import DEFAULT_FAILURE_THRESHOLD, ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.events import Applied, Said, apply
from mesh.controller.reconcile import Launch, reconcile
from mesh.controller.state import Condition, MeshState, ReplicaEvent, ReplicaState, revision_key
from mesh.controller.views import orders, status
from mesh.user_config import user_config_key
from mesh.v1 import controller_pb2 as pb

READY = ReplicaEvent.SAID_READY


def spec(user_config: str, **settings: float) -> DeploymentSpec:
    config = DeploymentConfig(user_config_json=user_config, **settings)  # type: ignore[arg-type]
    return DeploymentSpec("app", "A", Runtime("python", (), "/"), import_path="module:A", config=config)


class Mesh:
    """One deployment with one replica, to whose word the state listens."""

    def __init__(self, user_config: str) -> None:
        self.now_s = 0.0
        self.state = MeshState()
        self.lines = 0
        self.did: tuple[object, ...] = ()
        self.wish(user_config)
        self.replica_id = next(iter(self.state.replicas))

    def wish(self, user_config: str) -> None:
        self.happens(Applied(ApplicationSpec("app", "A", (spec(user_config),))))

    def says(self, condition: Condition) -> None:
        self.lines += 1
        self.happens(Said(self.replica_id, self.lines, READY, pid=1, condition=condition))

    def happens(self, event: Applied | Said) -> None:
        step = reconcile(apply(self.state, event, self.now_s), self.now_s)
        self.state, self.did = step.state, step.actions

    @property
    def shown(self) -> pb.DeploymentStatus:
        (application,) = status(self.state, 1, "/run", self.now_s).applications
        return application.deployments[0]


def test_a_deployment_runs_when_its_replicas_have_taken_the_user_config() -> None:
    mesh = Mesh("1")
    mesh.says(Condition(user_config_key("1")))
    assert mesh.shown.phase == pb.PHASE_RUNNING
    mesh.wish("2")
    assert (mesh.shown.phase, mesh.did) == (pb.PHASE_DEPLOYING, ())
    mesh.says(Condition(user_config_key("2")))
    assert mesh.shown.phase == pb.PHASE_RUNNING


def test_a_refused_user_config_fails_the_rollout_and_says_so_and_nothing_restarts() -> None:
    mesh = Mesh("1")
    mesh.says(Condition(user_config_key("1")))
    mesh.wish("2")
    mesh.says(Condition(user_config_key("1"), user_config_key("2"), "ValueError: not two"))
    assert (mesh.shown.phase, mesh.did) == (pb.PHASE_DEPLOY_FAILED, ())
    assert "keeps the user_config that it had" in mesh.shown.message
    assert "ValueError: not two" in mesh.shown.replicas[0].message


@pytest.mark.parametrize("again", ["2", "3"])
def test_who_refused_is_asked_again_when_it_is_applied_again(again: str) -> None:
    mesh = Mesh("1")
    mesh.wish("2")
    mesh.says(Condition(user_config_key("1"), user_config_key("2"), "ValueError: not two"))
    before = orders(mesh.state)[mesh.replica_id]
    mesh.wish(again)
    assert mesh.shown.phase == pb.PHASE_DEPLOYING
    assert orders(mesh.state)[mesh.replica_id] != before


def test_a_first_user_config_and_the_last_one_take_new_replicas() -> None:
    assert len({revision_key(spec(text)) for text in ("", "1", "2")}) == 2


def test_checks_that_fail_are_shown_and_the_third_in_a_row_replaces_the_replica() -> None:
    mesh = Mesh("")
    mesh.says(Condition())
    mesh.now_s = 100.0
    mesh.says(Condition(failed_checks=DEFAULT_FAILURE_THRESHOLD - 1, check_failure="RuntimeError: sick"))
    assert (mesh.shown.phase, mesh.did) == (pb.PHASE_RUNNING, ())
    assert "RuntimeError: sick" in mesh.shown.replicas[0].message
    mesh.says(Condition(failed_checks=DEFAULT_FAILURE_THRESHOLD, check_failure="RuntimeError: sick"))
    assert mesh.state.replicas[mesh.replica_id].state is ReplicaState.DRAINING
    assert [type(action) for action in mesh.did] == [Launch]
    assert "was unhealthy: check_health failed 3 times" in mesh.shown.message


def test_an_unhealthy_replica_may_end_what_it_has_begun() -> None:
    mesh = Mesh("")
    mesh.says(Condition())
    mesh.says(Condition(failed_checks=DEFAULT_FAILURE_THRESHOLD))
    config = next(iter(mesh.state.applications["app"].deployments["A"].revisions.values())).spec.config
    assert mesh.state.replicas[mesh.replica_id].kill_at_s > config.graceful_shutdown_timeout_s


def test_a_replica_that_drains_may_still_be_unhealthy() -> None:
    mesh = Mesh("")
    mesh.says(Condition())
    mesh.says(Condition(failed_checks=DEFAULT_FAILURE_THRESHOLD))
    before = mesh.state.replicas[mesh.replica_id]
    mesh.says(Condition(failed_checks=DEFAULT_FAILURE_THRESHOLD + 1))
    after = mesh.state.replicas[mesh.replica_id]
    assert replace(after, line=0, condition=before.condition) == replace(before, line=0)
