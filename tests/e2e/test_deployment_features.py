"""Where a replica is, how it is configured, how it is: between real processes."""

from __future__ import annotations

from typing import Any

import pytest

import mesh
from mesh.application_status import DeploymentStatus, Phase
from tests.e2e.commands import wait_until
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.features import Ailing, Busy, Configured, ConfiguredOnLoop, Placed


def shown() -> DeploymentStatus:
    """The status of the one deployment that runs."""
    (application,) = mesh.status().applications
    return application.deployments[0]


def ask_all(handle: Any, replicas: int = 2) -> list[Any]:
    """What each replica answers: calls one after the other go round."""
    return [handle.remote().result(timeout_s=30) for _ in range(replicas)]


class TestReplicaContext:
    @pytest.mark.feature("1")
    def test_it_says_application_deployment_replica_and_rank(self, run: Run, own_mesh: RunningMesh) -> None:
        contexts = ask_all(run(Placed.bind(), name="there").context)
        assert {(context.application, context.deployment) for context in contexts} == {("there", "Placed")}
        assert {context.replica_id for context in contexts} == set(own_mesh.replicas("Placed"))
        assert sorted(context.rank for context in contexts) == [0, 1]
        assert sorted(replica.rank for replica in shown().replicas) == [0, 1]

    def test_outside_of_a_replica_there_is_none(self) -> None:
        with pytest.raises(RuntimeError, match="outside of a replica"):
            mesh.get_replica_context()

    def test_who_takes_a_place_takes_its_rank(self, run: Run) -> None:
        handle = run(Placed.bind())
        before = dict(ask_all(handle.place))
        with pytest.raises(mesh.ReplicaDied):
            handle.die.remote().result(timeout_s=30)
        wait_until(lambda: shown().restarts == 1 and [r.state for r in shown().replicas] == ["RUNNING"] * 2)
        after = dict(ask_all(handle.place))
        assert (after.keys(), len(set(before.values()) & set(after.values()))) == ({0, 1}, 1)

    def test_fewer_replicas_keep_the_lowest_ranks(self, run: Run) -> None:
        before = dict(ask_all(run(Placed.bind()).place))
        handle = run(Placed.options(num_replicas=1).bind())
        wait_until(lambda: len(shown().replicas) == 1)
        assert ask_all(handle.place) == [(0, before[0])] * 2


class TestUserConfig:
    @pytest.mark.feature("11")
    def test_it_is_taken_before_the_first_request_and_again_without_a_restart(self, run: Run) -> None:
        first, second = {"threshold": 0.5}, {"threshold": 0.7, "labels": ["cat"]}
        before = dict(ask_all(run(Configured.options(user_config=first).bind()).seen))
        handle = run(Configured.options(user_config=second).bind())
        after = dict(ask_all(handle.seen))
        assert set(before) == set(after)
        assert (list(before.values()), list(after.values())) == ([[first]] * 2, [[first, second]] * 2)
        assert ask_all(handle.on_one_thread) == [True, True]
        assert shown().phase is Phase.RUNNING

    def test_an_async_def_takes_it_on_the_loop(self, run: Run) -> None:
        run(ConfiguredOnLoop.options(user_config={"a": 1}).bind())
        handle = run(ConfiguredOnLoop.options(user_config={"a": 2}).bind())
        assert handle.seen.remote().result(timeout_s=30)[1] == [{"a": 1}, {"a": 2}]

    def test_one_that_is_the_same_is_not_taken_again(self, run: Run) -> None:
        for _ in range(2):
            handle = run(ConfiguredOnLoop.options(user_config={"a": 1}).bind())
        assert handle.seen.remote().result(timeout_s=30)[1] == [{"a": 1}]

    def test_an_exception_before_the_replica_is_ready_is_a_failed_start(self, run: Run) -> None:
        with pytest.raises(mesh.DeployFailed, match=r"ValueError: I refuse \{'refuse': True\}") as failed:
            run(ConfiguredOnLoop.options(user_config={"refuse": True}).bind())
        assert "in take" in str(failed.value)

    def test_an_exception_later_is_told_and_the_old_one_stays_until_another_is_taken(self, run: Run) -> None:
        run(ConfiguredOnLoop.options(user_config={"a": 1}).bind())
        with pytest.raises(mesh.DeployFailed, match=r"keeps the user_config that it had: reconfigure raised"):
            run(ConfiguredOnLoop.options(user_config={"refuse": True}).bind())
        assert shown().phase is Phase.DEPLOY_FAILED
        assert "I refuse" in shown().replicas[0].message
        handle = run(ConfiguredOnLoop.options(user_config={"a": 2}).bind())
        assert handle.seen.remote().result(timeout_s=30)[1] == [{"a": 1}, {"a": 2}]
        assert (shown().phase, shown().restarts, shown().replicas[0].message) == (Phase.RUNNING, 0, "")


class TestHealth:
    @pytest.mark.feature("11")
    def test_who_fails_three_times_in_a_row_is_replaced_and_the_status_says_why(self, run: Run) -> None:
        handle = run(Ailing.bind())
        ill = handle.fall_ill.remote("the weights are gone").result(timeout_s=30)
        wait_until(lambda: shown().restarts == 1 and shown().phase is Phase.RUNNING)
        assert "was unhealthy: check_health failed 3 times in a row" in shown().message
        assert "RuntimeError: the weights are gone" in shown().message
        wait_until(lambda: [replica.state for replica in shown().replicas] == ["RUNNING"])
        assert handle.pid.remote().result(timeout_s=30) != ill

    def test_who_is_ill_from_birth_does_not_start(self, run: Run) -> None:
        with pytest.raises(mesh.DeployFailed, match="RuntimeError: sick from birth"):
            run(Ailing.bind(from_birth=True))

    def test_who_is_busy_is_not_ill(self, run: Run) -> None:
        handle = run(Busy.bind())
        pids = set()
        for _ in range(2):
            pid, checks = handle.work.remote(0.5).result(timeout_s=30)
            pids.add((pid, checks))
        assert len(pids) == 1, "the same process, and no check while the turn was taken"
        assert (shown().restarts, shown().replicas[0].message) == (0, "")


def test_a_user_config_that_nothing_takes_is_refused() -> None:
    with pytest.raises(mesh.ConfigError, match="no method that takes it"):
        Placed.options(user_config={"a": 1})
