"""The part of the state that is kept over the controller's death, as rows of the store and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mesh.config import ApplicationSpec, DeploymentSpec
from mesh.controller.state import (
    KILL_GRACE_S,
    ApplicationState,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaState,
    Revision,
    Size,
)
from mesh.controller.story import KEPT, Entry, Story
from mesh.v1 import controller_pb2
from mesh.v1 import store_pb2 as pb

Key = tuple[str, str]
"""The kind of a row, and the name of what it speaks of."""

_MESH: Key = ("mesh", "")


def to_rows(state: MeshState) -> dict[Key, bytes]:
    """All rows of a state. What is only true of this moment (lines, clocks, back-off) is not among them."""
    rows = {_MESH: pb.StoredMesh(launched=state.launched).SerializeToString(deterministic=True)}
    for name, application in state.applications.items():
        rows["application", name] = _from_application(application).SerializeToString(deterministic=True)
    for replica_id, replica in state.replicas.items():
        rows["replica", replica_id] = _from_replica(replica).SerializeToString(deterministic=True)
    return rows


def from_rows(rows: Mapping[Key, bytes], now_s: float) -> MeshState:
    """The state that the rows were made from; nothing in it has a line to the controller yet."""
    state = MeshState(launched=pb.StoredMesh.FromString(rows.get(_MESH, b"")).launched)
    applications = {key[1]: _to_application(row, now_s) for key, row in rows.items() if key[0] == "application"}
    replicas = {key[1]: _to_replica(row, now_s) for key, row in rows.items() if key[0] == "replica"}
    return replace(state, applications=applications, replicas=replicas)


def story_changes(before: Story, after: Story) -> dict[Key, bytes | None]:
    """The rows to write, and those to remove (None), when the story that is stored is the one before."""
    told = {entry.number for entry in after.entries}
    changes: dict[Key, bytes | None] = {_story_key(entry): None for entry in before.entries if entry.number not in told}
    for entry in after.after(before.told):
        changes[_story_key(entry)] = pb.StoredEvent(event=entry_message(entry)).SerializeToString()
    return changes


def _story_key(entry: Entry) -> Key:
    """So named that the order of the names is that of the entries."""
    return "event", f"{entry.number:020}"


def story_from_rows(rows: Mapping[Key, bytes]) -> Story:
    """The story as it was stored last. The next numbers leave a gap: what was told after that had some of them."""
    events = [pb.StoredEvent.FromString(row).event for (kind, _), row in sorted(rows.items()) if kind == "event"]
    entries = tuple(
        Entry(one.number, one.at_s, one.application, one.deployment, one.replica_id, one.what, one.message)
        for one in events
    )
    told = entries[-1].number if entries else 0
    return Story(entries, told + KEPT if rows else 0)


def entry_message(entry: Entry) -> controller_pb2.Event:
    """An entry as it is stored and sent."""
    return controller_pb2.Event(
        number=entry.number,
        at_s=entry.at_s,
        application=entry.application,
        deployment=entry.deployment,
        replica_id=entry.replica_id,
        what=entry.what,
        message=entry.message,
    )


def blob_names(state: MeshState) -> set[str]:
    """The blobs that replicas of this state may be made from, also after it was rolled back."""
    names: set[str] = set()
    for application in state.applications.values():
        for spec in (application.good, application.previous):
            names |= spec.blob_names() if spec else set()
        for deployment in application.deployments.values():
            for revision in deployment.revisions.values():
                names.update(revision.spec.blob_names())
    return names


def _from_application(application: ApplicationState) -> pb.StoredApplication:
    return pb.StoredApplication(
        spec=application.spec.to_proto(),
        deleting=application.deleting,
        answering=application.answering,
        route_prefix=application.route_prefix,
        reachable=application.reachable,
        leaving=application.leaving,
        good=application.good.to_proto() if application.good else None,
        previous=application.previous.to_proto() if application.previous else None,
        deployments=[
            pb.StoredDeployment(
                name=name,
                wished=deployment.wished,
                serving=deployment.serving,
                revisions=[_from_revision(revision) for revision in deployment.revisions.values()],
                restarts=deployment.restarts,
                also_serving=deployment.also_serving,
                size=_from_size(deployment.size),
            )
            for name, deployment in application.deployments.items()
        ],
    )


def _from_size(size: Size | None) -> pb.StoredSize | None:
    return None if size is None else pb.StoredSize(replicas=size.replicas, why=size.why)


def _from_revision(revision: Revision) -> pb.StoredRevision:
    return pb.StoredRevision(
        key=revision.key,
        spec=revision.spec.to_proto(),
        established=revision.established,
        gave_up=revision.gave_up,
        failure=revision.failure if revision.gave_up else "",
    )


def _from_replica(replica: Replica) -> pb.StoredReplica:
    return pb.StoredReplica(
        replica_id=replica.replica_id,
        application=replica.application,
        deployment=replica.deployment,
        revision=replica.revision,
        ready=replica.state is ReplicaState.RUNNING,
        draining=replica.state is ReplicaState.DRAINING,
        grace_s=replica.grace_s,
        gpus=replica.gpus,
        rank=replica.rank,
        why=replica.why,
    )


def _to_application(row: bytes, now_s: float) -> ApplicationState:
    stored = pb.StoredApplication.FromString(row)
    return ApplicationState(
        spec=ApplicationSpec.from_proto(stored.spec),
        deployments={deployment.name: _to_deployment(deployment, now_s) for deployment in stored.deployments},
        answering=stored.answering,
        route_prefix=stored.route_prefix if stored.HasField("route_prefix") else None,
        reachable=stored.reachable,
        leaving=stored.leaving,
        deleting=stored.deleting,
        good=ApplicationSpec.from_proto(stored.good) if stored.HasField("good") else None,
        previous=ApplicationSpec.from_proto(stored.previous) if stored.HasField("previous") else None,
    )


def _to_deployment(stored: pb.StoredDeployment, now_s: float) -> DeploymentState:
    revisions = {
        revision.key: Revision(
            key=revision.key,
            spec=DeploymentSpec.from_proto(revision.spec),
            established=revision.established,
            gave_up=revision.gave_up,
            failure=revision.failure,
        )
        for revision in stored.revisions
    }
    size = Size(stored.size.replicas, stored.size.why, now_s) if stored.HasField("size") else None
    return DeploymentState(revisions, stored.wished, stored.serving, stored.restarts, tuple(stored.also_serving), size)


def _to_replica(row: bytes, now_s: float) -> Replica:
    stored = pb.StoredReplica.FromString(row)
    state = ReplicaState.RUNNING if stored.ready else ReplicaState.STARTING
    replica = Replica(
        replica_id=stored.replica_id,
        application=stored.application,
        deployment=stored.deployment,
        revision=stored.revision,
        state=ReplicaState.DRAINING if stored.draining else state,
        since_s=now_s,
        grace_s=stored.grace_s,
        gpus=tuple(stored.gpus),
        rank=stored.rank,
        why=stored.why,
    )
    return replace(replica, kill_at_s=now_s + replica.grace_s + KILL_GRACE_S) if stored.draining else replica
