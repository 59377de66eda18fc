"""What others see of the state: endpoint sets, routes, the orders of a replica, the status for people. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from mesh.config import DeploymentConfig
from mesh.controller.policies import Question
from mesh.controller.shares import aimed_at, has_failed, serving_revisions
from mesh.controller.state import (
    KILL_GRACE_S,
    ApplicationState,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaState,
    Revision,
    Size,
    sufficient_replicas,
    wanted_replicas,
)
from mesh.user_config import user_config_key
from mesh.v1 import controller_pb2 as pb
from mesh.v1 import endpoint_pb2

_NEVER: Mapping[tuple[str, str], float] = {}

_STATES: Mapping[ReplicaState, pb.ReplicaState] = {
    ReplicaState.STARTING: pb.REPLICA_STATE_STARTING,
    ReplicaState.RUNNING: pb.REPLICA_STATE_RUNNING,
    ReplicaState.DRAINING: pb.REPLICA_STATE_DRAINING,
    ReplicaState.STOPPED: pb.REPLICA_STATE_STOPPED,
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What is wanted of a replica: its settings and, once it has to end, until when.

    ``asked`` counts how often it is asked again for settings that it knows and has refused. ``question`` is for the
    policy of the deployment, when this replica runs it.
    """

    config: DeploymentConfig | None
    drain_by_s: float = inf
    asked: int = 0
    question: Question | None = None


def replica_address(run_directory: str, replica_id: str) -> str:
    """The gRPC target of a replica: a socket in the run directory, named by the digits of its id."""
    return f"unix:{run_directory}/r-{replica_id.rpartition('#')[2]}.sock"


def replica_socket_path(run_directory: str, replica_id: str) -> str:
    """The unix socket on which a replica takes sessions from processes of its host."""
    return f"{run_directory}/r-{replica_id.rpartition('#')[2]}.frames.sock"


def endpoint_sets(state: MeshState, run_directory: str) -> dict[tuple[str, str], endpoint_pb2.EndpointSet]:
    """The endpoint set of each deployment by (application, deployment); ``version`` is left to the publisher."""
    replicas = _by_deployment(state)
    return {
        (application.spec.name, name): _endpoint_set(
            application, name, deployment, replicas[application.spec.name, name], run_directory
        )
        for application in state.applications.values()
        for name, deployment in application.deployments.items()
    }


def unknown_endpoint_set(
    known: Mapping[tuple[str, str], object], application: str, deployment: str
) -> endpoint_pb2.EndpointSet:
    """The set of a deployment that does not exist."""
    names = ", ".join(sorted(f"{name!r} of application {owner!r}" for owner, name in known)) or "none"
    message = f"there is no deployment {deployment!r} of application {application!r}; there are: {names}"
    return endpoint_pb2.EndpointSet(application=application, deployment=deployment, deleted=True, message=message)


def routes(state: MeshState) -> tuple[endpoint_pb2.Route, ...]:
    """The routes of the applications whose driver has had a running replica, by prefix."""
    found = [
        endpoint_pb2.Route(
            prefix=application.route_prefix, application=application.spec.name, deployment=application.answering
        )
        for application in state.applications.values()
        if application.reachable and application.route_prefix is not None and not application.deleting
    ]
    return tuple(sorted(found, key=lambda route: route.prefix))


def orders(state: MeshState, questions: Mapping[str, Question] = MappingProxyType({})) -> dict[str, Orders]:
    """What is wanted of each replica by its id; ``questions`` are for policies, by the replica that is asked."""
    found = {}
    for replica_id, replica in state.replicas.items():
        revision = state.revision_of(replica)
        drain_by_s = replica.kill_at_s - KILL_GRACE_S if replica.state is ReplicaState.DRAINING else inf
        found[replica_id] = Orders(
            revision.spec.config if revision else None, drain_by_s, replica.asked, questions.get(replica_id)
        )
    return found


def phases(state: MeshState) -> dict[tuple[str, str], pb.Phase]:
    """Where each deployment is in its life, and each application under the key (name, "")."""
    found: dict[tuple[str, str], pb.Phase] = {}
    replicas = _by_deployment(state)
    for name, application in state.applications.items():
        own = {
            key: _deployment_phase(
                application, deployment, deployment.revisions.get(deployment.wished), replicas[name, key]
            )
            for key, deployment in application.deployments.items()
        }
        found[name, ""] = _application_phase(application, own.values())
        found |= {(name, key): phase for key, phase in own.items()}
    return found


def status(
    state: MeshState, revision: int, run_directory: str, now_s: float, since: Mapping[tuple[str, str], float] = _NEVER
) -> pb.Status:
    """Everything there is, for people. ``since`` says when what is a key of :func:`phases` has entered its phase."""
    replicas = _by_deployment(state)
    applications = []
    for name, application in state.applications.items():
        deployments = [
            _deployment_status(application, key, deployment, replicas[name, key], run_directory, now_s, since)
            for key, deployment in application.deployments.items()
        ]
        failed = [d for d in deployments if d.phase == pb.PHASE_DEPLOY_FAILED]
        applications.append(
            pb.ApplicationStatus(
                name=name,
                phase=_application_phase(application, [d.phase for d in deployments]),
                in_phase_s=now_s - since.get((name, ""), now_s),
                message="\n".join(f"deployment {d.name!r}: {d.message}" for d in failed),
                route_prefix=application.spec.route_prefix,
                driver=application.spec.driver,
                deployments=deployments,
                answering=application.answering,
            )
        )
    return pb.Status(revision=revision, applications=applications)


def _by_deployment(state: MeshState) -> defaultdict[tuple[str, str], list[Replica]]:
    replicas: defaultdict[tuple[str, str], list[Replica]] = defaultdict(list)
    for replica in state.replicas.values():
        replicas[replica.application, replica.deployment].append(replica)
    return replicas


def _endpoint_set(
    application: ApplicationState,
    name: str,
    deployment: DeploymentState,
    replicas: Sequence[Replica],
    run_directory: str,
) -> endpoint_pb2.EndpointSet:
    revision = deployment.revisions.get(deployment.serving) or deployment.revisions.get(deployment.wished)
    found = endpoint_pb2.EndpointSet(application=application.spec.name, deployment=name)
    if revision is None or (application.deleting and name == application.answering):
        found.deleted = True
        found.message = f"deployment {name!r} of application {application.spec.name!r} is being deleted"
        return found
    found.config.CopyFrom(revision.spec.config.to_proto())
    found.methods.extend(method.to_proto() for method in revision.spec.methods)
    serving = serving_revisions(deployment)
    for replica in replicas:
        if replica.state is ReplicaState.RUNNING and replica.revision in serving:
            found.endpoints.add(
                replica_id=replica.replica_id,
                address=replica_address(run_directory, replica.replica_id),
                socket_path=replica_socket_path(run_directory, replica.replica_id),
            )
    if revision.gave_up and not found.endpoints:
        found.message = revision.failure
    return found


def _deployment_status(
    application: ApplicationState,
    name: str,
    deployment: DeploymentState,
    replicas: Sequence[Replica],
    run_directory: str,
    now_s: float,
    since: Mapping[tuple[str, str], float],
) -> pb.DeploymentStatus:
    revision = deployment.revisions.get(deployment.wished) or deployment.revisions.get(deployment.serving)
    refusals = _refusals(revision, replicas)
    size = deployment.size if revision and revision.spec.config.autoscaling_config else None
    return pb.DeploymentStatus(
        name=name,
        phase=_deployment_phase(application, deployment, revision, replicas),
        message="\n".join(refusals) or (revision.failure if revision else "") or _taken_back(application, deployment),
        failed_starts=revision.failed_starts if revision else 0,
        restarts=deployment.restarts,
        num_replicas=wanted_replicas(deployment, revision) if revision else 0,
        scaling=_scaling(size),
        scaled_ago_s=now_s - size.since_s if size else 0.0,
        in_phase_s=now_s - since.get((application.spec.name, name), now_s),
        revision=deployment.wished,
        serving=serving_revisions(deployment),
        replicas=[
            pb.ReplicaStatus(
                replica_id=replica.replica_id,
                state=_STATES[replica.state],
                pid=replica.pid,
                address=replica_address(run_directory, replica.replica_id),
                in_state_s=now_s - replica.since_s,
                rank=replica.rank,
                message=_complaint(replica),
                revision=replica.revision,
                why=replica.why,
            )
            for replica in replicas
        ],
    )


def _scaling(size: Size | None) -> str:
    """Why a deployment that autoscales has the size that it has."""
    if size is None:
        return ""
    return f"{size.why}; kept at {size.replicas}: {size.trouble}" if size.trouble else size.why


def _is_taken_back(application: ApplicationState, deployment: DeploymentState) -> bool:
    """Its own update would have been well, but that of another deployment of the application has failed."""
    return has_failed(application) and aimed_at(application, deployment) != deployment.wished


def _taken_back(application: ApplicationState, deployment: DeploymentState) -> str:
    is_taken_back = bool(deployment.wished) and _is_taken_back(application, deployment)
    return f"it stays at revision {deployment.serving}, because the update failed elsewhere" if is_taken_back else ""


def _refusals(revision: Revision | None, replicas: Sequence[Replica]) -> list[str]:
    """What running replicas say whose ``reconfigure`` raised on the user_config that is wished for."""
    wished = user_config_key(revision.spec.config.user_config_json) if revision else ""
    return [
        _complaint(replica)
        for replica in replicas
        if wished and replica.state is ReplicaState.RUNNING and replica.condition.refused == wished
    ]


def _complaint(replica: Replica) -> str:
    """What the user's object in a replica complains of."""
    condition = replica.condition
    complaints = []
    if condition.refused:
        complaints.append(
            f"replica {replica.replica_id} keeps the user_config that it had: reconfigure raised\n{condition.refusal}"
        )
    if condition.failed_checks:
        complaints.append(f"check_health failed (in a row: {condition.failed_checks}):\n{condition.check_failure}")
    return "\n".join(complaints)


def _deployment_phase(
    application: ApplicationState, deployment: DeploymentState, revision: Revision | None, replicas: Sequence[Replica]
) -> pb.Phase:
    if application.deleting or not deployment.wished or revision is None:
        return pb.PHASE_DELETING
    if revision.gave_up or _refusals(revision, replicas) or _is_taken_back(application, deployment):
        return pb.PHASE_DEPLOY_FAILED
    user_config = user_config_key(revision.spec.config.user_config_json)
    running = sum(
        replica.state is ReplicaState.RUNNING
        and replica.revision == deployment.wished
        and replica.condition.user_config == user_config
        for replica in replicas
    )
    crashes = revision.failed_starts > 0 and not any(r.state is ReplicaState.RUNNING for r in replicas)
    if crashes and wanted_replicas(deployment, revision):
        return pb.PHASE_DEPLOYING  # min_replicas=0 would be sufficient, but is not what is called for
    complete = running >= sufficient_replicas(deployment, revision)
    complete = complete and serving_revisions(deployment) == (deployment.wished,)
    return pb.PHASE_RUNNING if complete else pb.PHASE_DEPLOYING


def _application_phase(application: ApplicationState, deployments: Iterable[pb.Phase]) -> pb.Phase:
    if application.deleting:
        return pb.PHASE_DELETING
    found = set(deployments)
    for phase in (pb.PHASE_DEPLOY_FAILED, pb.PHASE_DEPLOYING):
        if phase in found:
            return phase
    return pb.PHASE_RUNNING
