"""What others see of a state, and that a state survives its rows."""

from __future__ import annotations

from dataclasses import replace

from mesh.clock import Clock
from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Method, MethodKind, Runtime
from mesh.controller.events import Applied, Said, apply
from mesh.controller.launches import launch_request
from mesh.controller.publisher import Publisher
from mesh.controller.reconcile import Launch, reconcile
from mesh.controller.rows import blob_names, from_rows, to_rows
from mesh.controller.state import MeshState, ReplicaEvent
from mesh.controller.views import orders, status, unknown_endpoint_set
from mesh.testing import FakeClock
from mesh.v1 import deployment_pb2

SPEC = DeploymentSpec(
    "app",
    "Model",
    Runtime("/usr/bin/python3", ("/code",), "/code"),
    target_blob="aa",
    init_blob="bb",
    methods=(Method("__call__", MethodKind.ASYNC_DEF),),
    config=DeploymentConfig(num_replicas=2, num_gpus=1),
)
APPLICATION = ApplicationSpec("app", "Model", (SPEC,), "/model")
CLOCK: Clock = FakeClock()


def running() -> tuple[MeshState, tuple[Launch, ...]]:
    step = reconcile(apply(MeshState(), Applied(APPLICATION), 0.0), 0.0, gpus=("4", "5"))
    state = step.state
    for line, replica_id in enumerate(state.replicas, 1):
        state = apply(state, Said(replica_id, line, ReplicaEvent.SAID_READY, pid=line), 0.0)
    launches = tuple(action for action in step.actions if isinstance(action, Launch))
    return reconcile(state, 0.0).state, launches


def test_a_state_survives_its_rows() -> None:
    state, _ = running()
    restored = from_rows(to_rows(state), 0.0)
    assert to_rows(restored) == to_rows(state)
    assert restored.applications == state.applications
    forgotten = {key: replace(replica, line=0, pid=0) for key, replica in state.replicas.items()}
    assert restored.replicas == forgotten
    assert restored.launched == 2


def test_the_blobs_of_all_revisions_are_kept_until_the_switch() -> None:
    state, _ = running()
    update = replace(APPLICATION, deployments=(replace(SPEC, target_blob="cc"),))
    state = reconcile(apply(state, Applied(update), 0.0), 0.0).state
    assert blob_names(state) == {"aa", "bb", "cc"}


def test_the_engine_is_asked_for_a_replica_with_all_that_it_needs() -> None:
    _, (launch, _) = running()
    request = launch_request(launch.replica, launch.spec, "/run", "/run/store/blobs")
    replica_id = launch.replica.replica_id
    assert (request.process_id, request.role, request.title, request.output_prefix, request.executable) == (
        replica_id,
        "sidecar.__main__:main",
        f"mesh: replica {replica_id}",
        f"({replica_id})",
        "/usr/bin/python3",
    )
    assert dict(request.environment) == {"CUDA_VISIBLE_DEVICES": "4"}
    argument = deployment_pb2.ReplicaLaunch.FromString(request.argument)
    assert argument.address == f"unix:/run/r-{replica_id.removeprefix('Model#')}.sock"
    assert argument.blob_directory == "/run/store/blobs"
    assert DeploymentSpec.from_proto(argument.spec) == SPEC


def test_the_status_shows_replicas_with_state_and_pid() -> None:
    state, _ = running()
    (shown,) = status(state, 7, "/run", 3.0).applications
    (deployment,) = shown.deployments
    assert (shown.name, shown.driver, shown.route_prefix, deployment.num_replicas) == ("app", "Model", "/model", 2)
    assert [(replica.pid, replica.in_state_s) for replica in deployment.replicas] == [(1, 3.0), (2, 3.0)]


def test_the_version_of_an_endpoint_set_grows_with_its_changes_only() -> None:
    publisher = Publisher("/run", CLOCK)
    state, _ = running()
    key = ("app", "Model")
    publisher.publish(state, 1)
    first = publisher.endpoints.latest(key)
    publisher.publish(state, 2)
    assert publisher.endpoints.latest(key) == first
    update = replace(APPLICATION, deployments=(replace(SPEC, config=replace(SPEC.config, threads=3)),))
    publisher.publish(reconcile(apply(state, Applied(update), 0.0), 0.0).state, 3)
    changed = publisher.endpoints.latest(key)
    assert (changed.version > first.version, changed.config.threads) == (True, 3)
    assert changed.endpoints == first.endpoints


def test_an_unknown_deployment_is_a_deleted_one_that_names_the_known() -> None:
    found = unknown_endpoint_set({("app", "Model"): object()}, "app", "Modl")
    assert found.deleted
    assert found.message == (
        "there is no deployment 'Modl' of application 'app'; there are: 'Model' of application 'app'"
    )


def test_a_replica_is_told_its_settings() -> None:
    state, _ = running()
    assert {order.config for order in orders(state).values()} == {SPEC.config}
