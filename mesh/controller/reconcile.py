"""What is to be done about a state: desired + replicas + now -> actions. Pure, and free to be called at any time.

It looks at what is, not at what happened: called twice, it finds nothing to do the second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from mesh.config import DeploymentSpec
from mesh.controller.gpus import assign
from mesh.controller.ranks import missing_ranks, without_place
from mesh.controller.rollout import rolled_out
from mesh.controller.shares import Peers, Share, aimed_at, serving_revisions, shares
from mesh.controller.state import (
    EARLY_END_S,
    KILL_GRACE_S,
    LAUNCH_TIMEOUT_S,
    ApplicationState,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaEvent,
    ReplicaState,
    Revision,
    drained,
    moved,
    with_death,
    with_replica,
)


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a process for this replica."""

    replica: Replica
    spec: DeploymentSpec


@dataclass(frozen=True, slots=True)
class Kill:
    """End a replica's process at once."""

    replica_id: str


Action = Launch | Kill


@dataclass(frozen=True, slots=True)
class Step:
    """The state in which ``actions`` have been decided upon, and when to look again although nothing happened."""

    state: MeshState
    actions: tuple[Action, ...]
    wake_at_s: float


def reconcile(state: MeshState, now_s: float, gpus: Sequence[str] = ()) -> Step:
    """Brings what is there nearer to what is wished for. ``gpus`` are the devices that may be given to replicas."""
    overdue = end_overdue(state, now_s)
    state, actions = overdue.state, list(overdue.actions)
    for name in tuple(state.applications):
        state, launches = _reconcile_application(state, name, now_s, gpus)
        actions += launches
    state, kills = _killed(state, now_s)
    return Step(state, (*actions, *kills), _wake_at_s(state, now_s))


def end_overdue(state: MeshState, now_s: float) -> Step:
    """Only kills: strays, silent replicas, and those that drain for too long. Called twice, it kills what is gone."""
    strays = [Kill(stray) for stray in sorted(state.strays)]
    state = replace(state, strays=frozenset()) if state.strays else state
    state, kills = _killed(_without_silent(state, now_s), now_s)
    return Step(state, (*strays, *kills), _wake_at_s(state, now_s))


def _without_silent(state: MeshState, now_s: float) -> MeshState:
    for replica in tuple(state.replicas.values()):
        if replica.live and replica.line == 0 and replica.attach_by_s <= now_s:
            failure = f"replica {replica.replica_id} has been without connection to the controller for too long"
            state = with_death(state, replica, failure, now_s)
            state = with_replica(
                state, replace(moved(replica, ReplicaEvent.SILENT, now_s), kill_at_s=now_s, why=failure)
            )
    return state


def _reconcile_application(
    state: MeshState, name: str, now_s: float, gpus: Sequence[str]
) -> tuple[MeshState, list[Launch]]:
    peers: defaultdict[str, list[Replica]] = defaultdict(list)
    for replica in state.replicas.values():
        if replica.application == name:
            peers[replica.deployment].append(replica)
    application = rolled_out(state.applications[name], peers, now_s, state.stopping)
    if application is not state.applications[name]:
        state = replace(state, applications={**state.applications, name: application})
    launches: list[Launch] = []
    is_again = False
    for deployment_name in dict.fromkeys((*application.deployments, *peers)):
        kept = shares(application, deployment_name, peers, state.stopping)
        drains = _surplus(peers[deployment_name], kept)
        if drains:
            told = {r.replica_id: drained(r, _why(state, application, r), now_s) for r in drains}
            state = replace(state, replicas={**state.replicas, **told})
        if not (application.deleting or state.stopping):
            for share in kept:
                revision = application.deployments[deployment_name].revisions[share.revision]
                if not revision.gave_up and revision.retry_at_s <= now_s:
                    state = _with_launches(state, revision, share, peers[deployment_name], now_s, gpus, launches)
        is_again = is_again or (bool(drains) and any(d.also_serving for d in application.deployments.values()))
    state = _pruned(state, application, peers)
    if is_again:  # what serves beside others may have been the last of its revision
        state, more = _reconcile_application(state, name, now_s, gpus)
        launches += more
    return state, launches


def _why(state: MeshState, application: ApplicationState, replica: Replica) -> str:
    """Why a replica that works has to end, for people."""
    deployment = application.deployments.get(replica.deployment)
    if state.stopping:
        return "the mesh is being stopped"
    if application.deleting:
        return "the application is being deleted"
    if deployment is None or not deployment.wished:
        return "the deployment is no longer part of the application"
    aim = aimed_at(application, deployment)
    if replica.revision == aim:
        return "fewer replicas are wanted"
    return f"revision {aim} takes its place" if aim == deployment.wished else "the update has failed"


def _surplus(replicas: Sequence[Replica], kept: Sequence[Share]) -> list[Replica]:
    """The replicas that have to go: those of no kept revision, and those of a rank that is too high."""
    keys = {share.revision for share in kept}
    surplus = [replica for replica in replicas if replica.live and replica.revision not in keys]
    for share in kept:
        live = [replica for replica in replicas if replica.live and replica.revision == share.revision]
        surplus += without_place(share.kept, live)
    return surplus


def _with_launches(
    state: MeshState,
    revision: Revision,
    share: Share,
    replicas: Sequence[Replica],
    now_s: float,
    gpus: Sequence[str],
    launches: list[Launch],
) -> MeshState:
    spec = revision.spec
    live = [replica for replica in replicas if replica.live and replica.revision == revision.key]
    ranks = missing_ranks(share.kept, live)
    for rank in ranks[: int(min(share.launches, len(ranks)))]:
        replica = Replica(
            replica_id=replica_id(spec.name, state.launched),
            application=spec.application,
            deployment=spec.name,
            revision=revision.key,
            attempt=revision.failed_starts,
            since_s=now_s,
            attach_by_s=now_s + LAUNCH_TIMEOUT_S,
            grace_s=spec.config.graceful_shutdown_timeout_s,
            rank=rank,
            gpus=assign(gpus, spec.config.num_gpus, [other.gpus for other in state.replicas.values()]),
        )
        state = replace(with_replica(state, replica), launched=state.launched + 1)
        launches.append(Launch(replica, spec))
    return state


def replica_id(deployment: str, number: int) -> str:
    """The id of the ``number``-th replica of a mesh: an odd factor makes all of the first 2**24 differ."""
    return f"{deployment}#{(number * 0x9E3779 + 0x3F2A9C) & 0xFFFFFF:06x}"


def _pruned(state: MeshState, application: ApplicationState, peers: Peers) -> MeshState:
    """Forgets revisions that nobody wants, deployments that have left, and the application when nothing is left."""
    deployments: dict[str, DeploymentState] = {}
    for name, deployment in application.deployments.items():
        gone = application.deleting or not (deployment.wished or state.stopping)
        if gone and not peers.get(name) and not shares(application, name, peers, state.stopping):
            continue
        wanted = {deployment.wished, *serving_revisions(deployment)}
        revisions = {key: revision for key, revision in deployment.revisions.items() if key in wanted}
        same = len(revisions) == len(deployment.revisions)
        deployments[name] = deployment if same else replace(deployment, revisions=revisions)
    applications = dict(state.applications)
    if application.deleting and not deployments and not any(peers.values()):
        del applications[application.spec.name]
        return replace(state, applications=applications)
    if deployments == application.deployments:
        return state
    applications[application.spec.name] = replace(application, deployments=deployments)
    return replace(state, applications=applications)


def _killed(state: MeshState, now_s: float) -> tuple[MeshState, list[Kill]]:
    overdue = {key: replica for key, replica in state.replicas.items() if replica.kill_at_s <= now_s}
    if not overdue:
        return state, []
    # Asked again after a while: a kill that got lost must not leave a replica for ever.
    again = {key: replace(replica, kill_at_s=now_s + KILL_GRACE_S) for key, replica in overdue.items()}
    return replace(state, replicas={**state.replicas, **again}), [Kill(key) for key in overdue]


def _wake_at_s(state: MeshState, now_s: float) -> float:
    moments: list[float] = []
    for replica in state.replicas.values():
        moments.append(replica.kill_at_s)
        if replica.line == 0 and replica.live:
            moments.append(replica.attach_by_s)
        if replica.state is ReplicaState.RUNNING and now_s < replica.since_s + EARLY_END_S:
            revision = state.revision_of(replica)
            if revision is not None and revision.failed_starts:
                moments.append(replica.since_s + EARLY_END_S)
    for application in state.applications.values():
        for deployment in application.deployments.values():
            moments += [revision.retry_at_s for revision in deployment.revisions.values() if not revision.gave_up]
    return min((moment for moment in moments if moment > now_s), default=inf)
