"""What can happen to the mesh, and what each event does to the state. Pure, as ``state.py`` is.

Every event may come late and more than once; those that speak of a replica that is no more change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

from mesh.config import DEFAULT_FAILURE_THRESHOLD, ApplicationSpec, DeploymentSpec
from mesh.controller.shares import serving_revisions
from mesh.controller.state import (
    ATTACH_TIMEOUT_S,
    HEALTHY,
    KILL_GRACE_S,
    ApplicationState,
    Condition,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaEvent,
    ReplicaState,
    Revision,
    Size,
    moved,
    revision_key,
    wanted_replicas,
    with_application,
    with_death,
    with_deployment,
    with_replica,
)
from mesh.errors import ConfigError, DeploymentNotFound


@dataclass(frozen=True, slots=True)
class Applied:
    """Somebody wishes for this application, instead of the one of its name."""

    spec: ApplicationSpec


@dataclass(frozen=True, slots=True)
class Deleted:
    """Somebody wishes for that application no longer."""

    application: str


@dataclass(frozen=True, slots=True)
class Scaled:
    """Somebody wishes for another number of replicas of one deployment."""

    application: str
    deployment: str
    num_replicas: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Somebody wishes for what was complete before the present application."""

    application: str


@dataclass(frozen=True, slots=True)
class Launched:
    """The engine has started the replica's process."""

    replica_id: str
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The replica's process has ended, or could not be started."""

    replica_id: str
    message: str


@dataclass(frozen=True, slots=True)
class Said:
    """A replica said, over the line of that number, what state it is in: one of the SAID events."""

    replica_id: str
    line: int
    event: ReplicaEvent
    pid: int = 0
    failure: str = ""
    condition: Condition = HEALTHY


@dataclass(frozen=True, slots=True)
class Detached:
    """The line of that number to a replica has ended."""

    replica_id: str
    line: int


@dataclass(frozen=True, slots=True)
class Silent:
    """A replica that serves has not said so again over the line of that number: its loop does not go on."""

    replica_id: str
    line: int
    silent_s: float


@dataclass(frozen=True, slots=True)
class Listed:
    """All replicas that the engine knows of, with their process ids; said when the controller has started."""

    processes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """All replicas are to be drained; what is wished for stays."""


Event = Applied | Deleted | Scaled | RolledBack | Launched | Ended | Said | Detached | Silent | Listed | StopRequested


def apply(state: MeshState, event: Event, now_s: float) -> MeshState:
    """The state after the event. Raises :class:`ConfigError` or :class:`DeploymentNotFound` for a wish refused."""
    match event:
        case Applied(spec):
            return _applied(state, spec, now_s)
        case Deleted(name):
            return _deleted(state, name)
        case RolledBack(name):
            return _rolled_back(state, name, now_s)
        case Scaled():
            return _scaled(state, event)
        case Listed(processes):
            return _listed(state, processes, now_s)
        case StopRequested():
            return replace(state, stopping=True)
        case Ended(replica_id, message):
            return _ended(state, replica_id, message, now_s)
        case Said():
            return _said(state, event, now_s)
        case Silent():
            return _silent(state, event, now_s)
        case Launched(replica_id, pid):
            if (replica := state.replicas.get(replica_id)) is None:
                return state
            return with_replica(state, replace(moved(replica, ReplicaEvent.LAUNCHED, now_s), pid=pid))
        case Detached(replica_id, line):
            replica = state.replicas.get(replica_id)
            if replica is None or replica.line != line:
                return state  # a newer line took over before the old one was seen to end
            attach_by_s = now_s + ATTACH_TIMEOUT_S
            replica = moved(replica, ReplicaEvent.DETACHED, now_s)
            return with_replica(state, replace(replica, line=0, attach_by_s=attach_by_s))


def _applied(state: MeshState, spec: ApplicationSpec, now_s: float) -> MeshState:
    _check_route(state, spec)
    before = state.applications.get(spec.name)
    deployments: dict[str, DeploymentState] = {}
    if before is not None and not before.deleting:
        deployments |= {name: replace(deployment, wished="") for name, deployment in before.deployments.items()}
    for deployment_spec in spec.deployments:
        present = deployments.get(deployment_spec.name)
        deployments[deployment_spec.name] = _wished(state, present, deployment_spec, now_s)
    state = _asked_again(state, spec)
    if before is None or before.deleting:
        return with_application(state, ApplicationState(spec, deployments, spec.driver, spec.route_prefix))
    return with_application(state, replace(before, spec=spec, deployments=deployments))


def _check_route(state: MeshState, spec: ApplicationSpec) -> None:
    for other in state.applications.values():
        if other.spec.name == spec.name or other.deleting or spec.route_prefix is None:
            continue
        if spec.route_prefix in (other.spec.route_prefix, other.route_prefix):
            raise spec.route_is_taken(other.spec.name)


def _wished(state: MeshState, before: DeploymentState | None, spec: DeploymentSpec, now_s: float) -> DeploymentState:
    key = revision_key(spec)
    revisions = before.revisions if before else {}
    ready = sum(
        replica.state is ReplicaState.RUNNING
        for replica in state.replicas.values()
        if (replica.application, replica.deployment, replica.revision) == (spec.application, spec.name, key)
    )
    # Applied again, even unchanged: three new tries. What runs already need not prove itself again.
    wished = Revision(key, spec)
    after = DeploymentState({**revisions, key: wished}, wished=key, size=_size_after(before, spec, now_s))
    if before is not None:
        after = replace(after, serving=before.serving, also_serving=before.also_serving)
    if key not in revisions or not ready or ready < wanted_replicas(after, wished):
        return after
    return replace(after, revisions={**revisions, key: replace(wished, established=True)})


def _size_after(before: DeploymentState | None, spec: DeploymentSpec, now_s: float) -> Size | None:
    """What is applied again stays as large as it is, also when it begins, or ceases, to autoscale with that."""
    if before is None:
        return None
    scaling, key = spec.config.autoscaling_config, revision_key(spec)
    serving = [before.revisions[one] for one in serving_revisions(before)]
    if scaling is None:  # what serves until the new revision can still needs its size
        is_needed = any(one.spec.config.autoscaling_config and one.key != key for one in serving)
        return before.size if is_needed else None
    if not serving or any(one.spec.config.autoscaling_config for one in serving):
        return before.size
    replicas = scaling.bounded(serving[0].spec.config.num_replicas)
    return Size(replicas, f"{replicas}: as many as before", now_s)


def _asked_again(state: MeshState, spec: ApplicationSpec) -> MeshState:
    """Applied again, even unchanged: replicas that refused a user_config get one more try, too."""
    refused = [r for r in state.replicas.values() if r.application == spec.name and r.condition.refused]
    for replica in refused:
        condition = replace(replica.condition, refused="", refusal="")
        state = with_replica(state, replace(replica, condition=condition, asked=replica.asked + 1))
    return state


def _deleted(state: MeshState, name: str) -> MeshState:
    return with_application(state, replace(_existing(state, name), deleting=True))


def _scaled(state: MeshState, wish: Scaled) -> MeshState:
    """Another number for all revisions, no new try for any: what has failed is not begun again by the way."""
    application = _existing(state, wish.application)
    if application.deleting:
        raise DeploymentNotFound(f"application {wish.application!r} is being deleted")
    spec = next((spec for spec in application.spec.deployments if spec.name == wish.deployment), None)
    if spec is None:
        known = ", ".join(spec.name for spec in application.spec.deployments)
        raise DeploymentNotFound(
            f"application {wish.application!r} has no deployment {wish.deployment!r}; its deployments are: {known}"
        )
    _check_scales_by_hand(spec)
    deployment = application.deployments[wish.deployment]
    revisions = {
        key: replace(revision, spec=_resized(revision.spec, wish.num_replicas))
        for key, revision in deployment.revisions.items()
    }
    application = replace(
        with_deployment(application, wish.deployment, replace(deployment, revisions=revisions)),
        spec=_with_resized(application.spec, wish),
        good=_with_resized(application.good, wish) if application.good else None,
        previous=_with_resized(application.previous, wish) if application.previous else None,
    )
    return with_application(state, application)


def _check_scales_by_hand(spec: DeploymentSpec) -> None:
    scaling = spec.config.autoscaling_config
    if scaling is not None:
        raise ConfigError(
            f"deployment {spec.name!r} of application {spec.application!r} autoscales between {scaling.min_replicas} "
            f"and {scaling.max_replicas} replicas: deploy it with other bounds, or with num_replicas, to fix the number"
        )


def _resized(spec: DeploymentSpec, num_replicas: int) -> DeploymentSpec:
    if spec.config.autoscaling_config is not None:  # an earlier revision, whose number is its load's
        return spec
    return replace(spec, config=replace(spec.config, num_replicas=num_replicas))


def _with_resized(spec: ApplicationSpec, wish: Scaled) -> ApplicationSpec:
    """The spec with that number of replicas; what is rolled back to keeps the number that was set by hand."""
    for deployment in spec.deployments:
        if deployment.name == wish.deployment:
            return spec.with_deployment(_resized(deployment, wish.num_replicas))
    return spec


def _rolled_back(state: MeshState, name: str, now_s: float) -> MeshState:
    application = _existing(state, name)
    if application.deleting:
        raise DeploymentNotFound(f"application {name!r} is being deleted")
    earlier = application.good if application.spec != application.good else application.previous
    if earlier is None:
        raise ConfigError(
            f"application {name!r} cannot be rolled back: nothing that was deployed under this name before has run"
        )
    return _applied(state, earlier, now_s)


def _existing(state: MeshState, name: str) -> ApplicationState:
    application = state.applications.get(name)
    if application is None:
        known = ", ".join(sorted(state.applications)) or "none"
        raise DeploymentNotFound(f"there is no application {name!r}; there are: {known}")
    return application


def _listed(state: MeshState, processes: Mapping[str, int], now_s: float) -> MeshState:
    replicas = {
        replica_id: replace(replica, pid=processes[replica_id], attach_by_s=now_s + ATTACH_TIMEOUT_S)
        for replica_id, replica in state.replicas.items()
        if replica_id in processes
    }
    return replace(state, replicas=replicas, strays=frozenset(processes) - replicas.keys())


def _ended(state: MeshState, replica_id: str, message: str, now_s: float) -> MeshState:
    replica = state.replicas.get(replica_id)
    if replica is None:
        return state
    if replica.live:
        state = with_death(state, replica, f"replica {replica_id} {message}", now_s)
    moved(replica, ReplicaEvent.ENDED, now_s)
    return replace(state, replicas={key: value for key, value in state.replicas.items() if key != replica_id})


def _said(state: MeshState, said: Said, now_s: float) -> MeshState:
    replica = state.replicas.get(said.replica_id)
    if replica is None:
        return replace(state, strays=state.strays | {said.replica_id})
    if said.line < replica.line:
        return state  # the last words of a line that another one has followed
    replica = replace(replica, line=said.line, attach_by_s=inf, pid=said.pid or replica.pid, condition=said.condition)
    after = moved(replica, said.event, now_s)
    is_unhealthy = said.condition.failed_checks >= _failed_checks_allowed(state, replica)
    if is_unhealthy:
        after = moved(replica, ReplicaEvent.UNHEALTHY, now_s)
    if replica.live and not after.live:
        why = _why_it_goes(said, is_unhealthy)
        state = with_death(state, replica, why, now_s)
        grace_s = 0.0 if said.event is ReplicaEvent.SAID_FAILED else replica.grace_s
        after = replace(after, kill_at_s=now_s + grace_s + KILL_GRACE_S, why=why)
    return with_replica(state, after)


def _silent(state: MeshState, event: Silent, now_s: float) -> MeshState:
    replica = state.replicas.get(event.replica_id)
    if replica is None or replica.line != event.line or replica.state is not ReplicaState.RUNNING:
        return state
    why = (
        f"replica {replica.replica_id} has said nothing for {event.silent_s:.0f} s: its event loop is held by a call "
        "that does not give it back, or its process is stopped"
    )
    state = with_death(state, replica, why, now_s)
    # Killed at once: nothing that it has begun can be answered.
    return with_replica(state, replace(moved(replica, ReplicaEvent.SILENT, now_s), kill_at_s=now_s, why=why))


def _failed_checks_allowed(state: MeshState, replica: Replica) -> int:
    """So many checks that fail one after the other make the replica unhealthy."""
    revision = state.revision_of(replica)
    return revision.spec.config.health_check_failure_threshold if revision else DEFAULT_FAILURE_THRESHOLD


def _why_it_goes(said: Said, is_unhealthy: bool) -> str:
    if is_unhealthy:
        return (
            f"replica {said.replica_id} was unhealthy: check_health failed {said.condition.failed_checks} times in a "
            f"row, the last time with\n{said.condition.check_failure}"
        )
    return said.failure or f"replica {said.replica_id} ended by itself"
