"""Situations of names at the door."""

from __future__ import annotations

import asyncio

import pytest

from mesh.door.applications import Applications, read_status
from mesh.errors import DeploymentNotFound, MeshUnavailable
from mesh.v1 import controller_pb2 as pb


def _status(revision: int, *names: str, state: pb.ReplicaState = pb.REPLICA_STATE_RUNNING) -> pb.Status:
    replicas = [pb.ReplicaStatus(replica_id="Model#1", state=state)]
    deployments = [pb.DeploymentStatus(name="Model", replicas=replicas), pb.DeploymentStatus(name="Below")]
    return pb.Status(
        revision=revision,
        applications=[pb.ApplicationStatus(name=name, answering="Model", deployments=deployments) for name in names],
    )


class FakeController:
    """Answers with ``status`` when it is told to; None is no answer at all."""

    def __init__(self, status: pb.Status | None) -> None:
        self.status = status
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def __call__(self) -> pb.Status:
        self.asked += 1
        if self.status is None:
            raise MeshUnavailable("the controller cannot be reached")
        await self.may_answer.wait()
        return self.status


@pytest.mark.parametrize(
    ("application", "deployment", "found"),
    [
        pytest.param("", "", ("default", "Model"), id="no names are the default's driver"),
        pytest.param("shop", "", ("shop", "Model"), id="no deployment is the driver"),
        pytest.param("shop", "Below", ("shop", "Below"), id="both names"),
    ],
)
async def test_known_names_are_found_without_asking(application: str, deployment: str, found: tuple[str, str]) -> None:
    controller = FakeController(None)
    applications = Applications(controller)
    applications.apply(_status(1, "default", "shop"))
    assert await applications.find(application, deployment) == found
    assert controller.asked == 0


async def test_unknown_names_are_asked_for_once_by_all_who_wait() -> None:
    controller = FakeController(_status(2, "shop"))
    applications = Applications(controller)
    asking = [asyncio.create_task(applications.find(name, "")) for name in ("shop", "shop", "nope")]
    await asyncio.sleep(0)
    controller.may_answer.set()
    assert [await asking[0], await asking[1]] == [("shop", "Model")] * 2
    with pytest.raises(DeploymentNotFound, match=r"no application 'nope'; there are: 'shop'"):
        await asking[2]
    assert controller.asked == 1


async def test_client_that_leaves_while_it_is_asked_for_takes_nothing_from_the_others() -> None:
    controller = FakeController(_status(2, "shop"))
    applications = Applications(controller)
    leaves, stays = (asyncio.create_task(applications.find("shop", "")) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    controller.may_answer.set()
    assert await stays == ("shop", "Model")


async def test_without_a_controller_an_unknown_application_may_exist_and_a_known_one_is_known() -> None:
    applications = Applications(FakeController(None))
    with pytest.raises(MeshUnavailable, match="does not know application 'shop'"):
        await applications.find("shop", "")
    applications.apply(_status(1, "shop"))
    with pytest.raises(DeploymentNotFound, match="no deployment 'Mode', it has 'Below', 'Model'"):
        await applications.find("shop", "Mode")


async def test_older_status_changes_nothing() -> None:
    applications = Applications(FakeController(None))
    applications.apply(_status(2, "new"))
    applications.apply(_status(1, "old"))
    assert list(applications.known) == ["new"]


@pytest.mark.parametrize(
    ("state", "serving"),
    [(pb.REPLICA_STATE_RUNNING, True), (pb.REPLICA_STATE_STARTING, False), (pb.REPLICA_STATE_DRAINING, False)],
)
def test_application_serves_while_its_driver_has_a_replica_that_can_be_called(
    state: pb.ReplicaState, serving: bool
) -> None:
    assert read_status(_status(1, "shop", state=state))["shop"].is_serving is serving


def test_application_that_is_being_deleted_does_not_serve() -> None:
    status = _status(1, "shop")
    status.applications[0].phase = pb.PHASE_DELETING
    assert not read_status(status)["shop"].is_serving
