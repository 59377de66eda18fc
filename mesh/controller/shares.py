"""How many replicas of each revision of a deployment are kept, and how many may be launched now. Pure.

Where ``max_surge`` is as large as the deployment, the new revision comes up whole beside the old one, and serves when
``rollout.py`` switches. Where it is smaller, the two serve together for a while: each new replica that is ready lets an
old one go. Processes that drain count like all others then, because who bounds the surge is short of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from mesh.controller.state import ApplicationState, DeploymentState, Replica, ReplicaState, wanted_replicas
from mesh.update_limits import UpdateLimits

Peers = Mapping[str, Sequence[Replica]]
"""The replicas of one application by deployment, each in the order of their launches."""


@dataclass(frozen=True, slots=True)
class Share:
    """Of one revision ``kept`` replicas may stay, and up to ``launches`` may be launched to make it so many."""

    revision: str
    kept: int
    launches: float


def shares(application: ApplicationState, name: str, peers: Peers, stopping: bool) -> tuple[Share, ...]:
    """The revisions of a deployment of which anything is kept now.

    What goes away goes after the driver that may still be calling it for the requests that it has begun.
    """
    deployment = application.deployments.get(name)
    if deployment is None:
        return ()
    if application.deleting or stopping:
        is_over = name == application.answering or not peers.get(application.answering)
        return () if is_over else tuple(_whole(deployment, key) for key in serving_revisions(deployment))
    aim = aimed_at(application, deployment)
    if not aim:
        return ()
    replicas = peers.get(name, ())
    room = _room(deployment, aim, replicas)
    others = _others(deployment, aim, replicas, room)
    wanted = wanted_replicas(deployment, deployment.revisions[aim])
    return (*others, Share(aim, wanted, room - sum(share.launches for share in others)))


def aimed_at(application: ApplicationState, deployment: DeploymentState) -> str:
    """The revision that the deployment is brought to: the wished-for one, or back to the serving one.

    An update fails as a whole: when one revision of the application is given up, the others are taken back, too.
    """
    if deployment.serving and (not deployment.wished or has_failed(application)):
        return deployment.serving
    return deployment.wished


def has_failed(application: ApplicationState) -> bool:
    """A revision that is wished for was given up."""
    return any(d.revisions[d.wished].gave_up for d in application.deployments.values() if d.wished)


def serving_revisions(deployment: DeploymentState) -> tuple[str, ...]:
    """The revisions whose replicas are in the endpoint set."""
    return (deployment.serving, *deployment.also_serving) if deployment.serving else ()


def limits_of(deployment: DeploymentState, key: str) -> UpdateLimits:
    """How far an update that brings the deployment to that revision may go."""
    revision = deployment.revisions[key]
    return revision.spec.config.update_limits(wanted_replicas(deployment, revision))


def is_bounded(deployment: DeploymentState, key: str) -> bool:
    """That revision cannot come up whole beside what serves."""
    return limits_of(deployment, key).surge < wanted_replicas(deployment, deployment.revisions[key])


def running(replicas: Sequence[Replica], key: str) -> list[Replica]:
    """The replicas of that revision that are ready."""
    return [r for r in replicas if r.state is ReplicaState.RUNNING and r.revision == key]


def _whole(deployment: DeploymentState, key: str) -> Share:
    return Share(key, wanted_replicas(deployment, deployment.revisions[key]), inf)


def _room(deployment: DeploymentState, aim: str, replicas: Sequence[Replica]) -> float:
    """How many processes may be added to those that there are, of whatever revision and state."""
    revisions = {replica.revision for replica in replicas} | set(serving_revisions(deployment))
    if revisions <= {aim} or not is_bounded(deployment, aim):
        return inf
    wanted = wanted_replicas(deployment, deployment.revisions[aim])
    if deployment.serving and aim not in serving_revisions(deployment):
        wanted = max(wanted, wanted_replicas(deployment, deployment.revisions[deployment.serving]))
    return max(0, wanted + limits_of(deployment, aim).surge - len(replicas))


def _others(deployment: DeploymentState, aim: str, replicas: Sequence[Replica], room: float) -> list[Share]:
    """What serves beside the aim: whole until the aim serves too, then as much as the aim is short of.

    Only the one that served first is launched again. Those that joined it in updates that were not finished stay as
    long as they live.
    """
    serving = serving_revisions(deployment)
    others = [key for key in serving if key != aim]
    if not others:
        return []
    left = wanted_replicas(deployment, deployment.revisions[deployment.serving])
    if aim in serving:
        wanted = wanted_replicas(deployment, deployment.revisions[aim])
        left = max(0, wanted - limits_of(deployment, aim).unavailable - len(running(replicas, aim)))
    found = []
    for key in others:
        if key != deployment.serving:
            kept = min(left, len(running(replicas, key)))
            found.append(Share(key, kept, 0))
            left -= kept
    if deployment.serving in others:
        revision = deployment.revisions[deployment.serving]
        kept = min(left, wanted_replicas(deployment, revision))
        live = sum(replica.live and replica.revision == revision.key for replica in replicas)
        lacking = 0 if revision.gave_up else max(0, kept - live)
        found.append(Share(revision.key, kept, min(lacking, room)))
    return found
