"""What the controller knows, and how one event changes it. Pure: no clock, no I/O; ``now_s`` is an argument.

A replica's life is the table :data:`TRANSITIONS`. What is to be done about a state is decided in ``reconcile.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf
from types import MappingProxyType

from mesh.config import ApplicationSpec, DeploymentSpec

ATTACH_TIMEOUT_S = 10.0
"""How long a replica that runs may be without its line to the controller before it counts as hung."""

LAUNCH_TIMEOUT_S = 60.0
"""How long a process may take from its launch to its first word; before user code, which may take for ever."""

EARLY_END_S = 2.0
"""An end before this time in RUNNING counts as a failed start."""

FIRST_TRIES_S = (0.1, 0.4)
"""Pauses before the second and the third try of a revision that has never run; after the third it is given up."""

BACKOFF_S = (0.1, 10.0)
"""The first and the longest pause before a replica of a revision that has run is replaced; they double."""

KILL_GRACE_S = 1.0
"""What a replica gets beyond its time for draining before it is killed."""


class ReplicaState(Enum):
    """Where a replica is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class ReplicaEvent(Enum):
    """What happens to a replica: it is launched, it speaks, it is decided upon, it ends."""

    LAUNCHED = "launched"
    SAID_STARTING = "said starting"
    SAID_READY = "said ready"
    SAID_FAILED = "said failed"
    SAID_DRAINING = "said draining"
    DETACHED = "detached"
    UNHEALTHY = "unhealthy"
    DRAIN = "drain"
    SILENT = "silent"
    ENDED = "ended"


_STARTING, _RUNNING, _DRAINING, _STOPPED = ReplicaState
_EVENT = ReplicaEvent

TRANSITIONS: Mapping[ReplicaState, Mapping[ReplicaEvent, ReplicaState]] = MappingProxyType(
    {
        _STARTING: {
            _EVENT.LAUNCHED: _STARTING,
            _EVENT.SAID_STARTING: _STARTING,
            _EVENT.SAID_READY: _RUNNING,
            _EVENT.SAID_FAILED: _DRAINING,
            _EVENT.SAID_DRAINING: _DRAINING,
            _EVENT.DETACHED: _STARTING,
            _EVENT.UNHEALTHY: _DRAINING,
            _EVENT.DRAIN: _DRAINING,
            _EVENT.SILENT: _DRAINING,
            _EVENT.ENDED: _STOPPED,
        },
        _RUNNING: {
            _EVENT.LAUNCHED: _RUNNING,  # the engine's answer came after the replica's own word
            _EVENT.SAID_STARTING: _RUNNING,  # an old line's last word
            _EVENT.SAID_READY: _RUNNING,
            _EVENT.SAID_FAILED: _DRAINING,
            _EVENT.SAID_DRAINING: _DRAINING,
            _EVENT.DETACHED: _RUNNING,
            _EVENT.UNHEALTHY: _DRAINING,
            _EVENT.DRAIN: _DRAINING,
            _EVENT.SILENT: _DRAINING,
            _EVENT.ENDED: _STOPPED,
        },
        _DRAINING: {
            _EVENT.LAUNCHED: _DRAINING,
            _EVENT.SAID_STARTING: _DRAINING,
            _EVENT.SAID_READY: _DRAINING,
            _EVENT.SAID_FAILED: _DRAINING,
            _EVENT.SAID_DRAINING: _DRAINING,
            _EVENT.DETACHED: _DRAINING,
            _EVENT.UNHEALTHY: _DRAINING,
            _EVENT.ENDED: _STOPPED,
        },
        _STOPPED: {},  # forgotten: nothing can happen to it any more
    }
)


class ImpossibleEvent(RuntimeError):
    """A cell of :data:`TRANSITIONS` is missing: the controller is wrong, not the replica."""

    def __init__(self, replica: Replica, event: ReplicaEvent) -> None:
        super().__init__(f"replica {replica.replica_id}: event {event.value!r} in state {replica.state.value!r}")


@dataclass(frozen=True, slots=True)
class Condition:
    """How the user's object in a replica is, as the replica said last; user configs by their key.

    ``user_config`` was taken by its ``reconfigure``; on ``refused``, which came after that, it has raised ``refusal``.
    ``failed_checks`` calls of its ``check_health`` have failed in a row, the last one with ``check_failure``.
    """

    user_config: str = ""
    refused: str = ""
    refusal: str = ""
    failed_checks: int = 0
    check_failure: str = ""


HEALTHY = Condition()
"""Of an object that complains of nothing, and has taken no user_config."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One process of a deployment. ``line`` numbers its present line to the controller, 0 = it has none.

    ``attempt`` is how many starts of its revision had failed in a row when it was launched: replicas that were
    launched together fail together, and that counts once. It is silent when it has no line at ``attach_by_s``.
    ``rank`` is its index among the live replicas of its revision; ``asked`` counts how often it was asked again to take
    a user_config that it had refused. ``why`` says why it has to end, once it has.
    """

    replica_id: str
    application: str
    deployment: str
    revision: str
    attempt: int = 0
    state: ReplicaState = ReplicaState.STARTING
    since_s: float = 0.0
    pid: int = 0
    line: int = 0
    attach_by_s: float = inf
    kill_at_s: float = inf
    grace_s: float = 0.0
    gpus: tuple[str, ...] = ()
    rank: int = 0
    condition: Condition = HEALTHY
    asked: int = 0
    why: str = ""

    @property
    def live(self) -> bool:
        """It fills a place: it runs, or will."""
        return self.state is _STARTING or self.state is _RUNNING


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of a deployment and how its starts went.

    ``established``: all its replicas have been ready at one time, so it is replaced for ever; before that it is
    given up (``gave_up``) after three failed starts. ``failure`` is the last error with its traceback.
    """

    key: str
    spec: DeploymentSpec
    established: bool = False
    gave_up: bool = False
    failed_starts: int = 0
    retry_at_s: float = 0.0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """How many replicas a deployment that autoscales is to have, since when, and why.

    ``trouble`` is what is wrong with the user's own policy, for as long as the size is kept because of it.
    """

    replicas: int
    why: str
    since_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """The revisions of a deployment: the one that is ``wished`` for and the one that is ``serving`` meanwhile.

    Both are keys of ``revisions``; "" = none. What is no longer in the application is not wished for.
    ``also_serving`` are revisions that serve beside that one while an update with a bounded surge goes on. ``size``
    is None when none of them autoscales, and before it was first decided upon.
    """

    revisions: Mapping[str, Revision]
    wished: str
    serving: str = ""
    restarts: int = 0
    also_serving: tuple[str, ...] = ()
    size: Size | None = None


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """An application as it is wished for, with what still goes on of the one before it.

    ``answering`` is the driver that the outside sees, under ``route_prefix``, once it is ``reachable``. It becomes
    the driver of ``spec`` when all is ready; the one before is ``leaving`` until its last replica has ended.
    ``good`` is the last spec of which everything was ready, ``previous`` the one that was so before.
    """

    spec: ApplicationSpec
    deployments: Mapping[str, DeploymentState]
    answering: str
    route_prefix: str | None
    reachable: bool = False
    leaving: str = ""
    deleting: bool = False
    good: ApplicationSpec | None = None
    previous: ApplicationSpec | None = None


@dataclass(frozen=True, slots=True)
class MeshState:
    """Everything the controller knows. ``launched`` counts launches, and numbers the replicas.

    ``strays`` are processes that run and that nobody wishes for; ``stopping`` = the controller was told to drain all.
    """

    applications: Mapping[str, ApplicationState] = field(default_factory=dict)
    replicas: Mapping[str, Replica] = field(default_factory=dict)
    launched: int = 0
    strays: frozenset[str] = frozenset()
    stopping: bool = False

    def revision_of(self, replica: Replica) -> Revision | None:
        """The revision that a replica was launched for, as long as anybody wants it."""
        application = self.applications.get(replica.application)
        deployment = application.deployments.get(replica.deployment) if application else None
        return deployment.revisions.get(replica.revision) if deployment else None


def revision_key(spec: DeploymentSpec) -> str:
    """What names the code of a deployment, its constructor's arguments, and the settings that take a start.

    Whether there is a user_config at all is one: what has been configured cannot be told to forget it.
    """
    code = (spec.import_path, spec.source_sha256, spec.target_blob, spec.init_blob, spec.version, repr(spec.runtime))
    settings = (str(spec.config.num_gpus), str(bool(spec.config.user_config_json)))
    parts = (*code, *settings, *((spec.renewal,) if spec.renewal else ()))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def wanted_replicas(deployment: DeploymentState, revision: Revision) -> int:
    """How many replicas of a revision of the deployment are wanted: the one place where this number is read."""
    scaling = revision.spec.config.autoscaling_config
    if scaling is None:
        return revision.spec.config.num_replicas
    return scaling.first_replicas if deployment.size is None else scaling.bounded(deployment.size.replicas)


def sufficient_replicas(deployment: DeploymentState, revision: Revision) -> int:
    """How many of the wanted replicas have to run for the deployment to count as running.

    All of them, but for what autoscales: once it has been complete, its size may be ahead of what runs.
    """
    wanted, scaling = wanted_replicas(deployment, revision), revision.spec.config.autoscaling_config
    return wanted if scaling is None or not revision.established else min(wanted, scaling.min_replicas)


def with_replica(state: MeshState, replica: Replica) -> MeshState:
    """The state with that replica instead of the one of its id."""
    return replace(state, replicas={**state.replicas, replica.replica_id: replica})


def with_application(state: MeshState, application: ApplicationState) -> MeshState:
    """The state with that application instead of the one of its name."""
    return replace(state, applications={**state.applications, application.spec.name: application})


def with_deployment(application: ApplicationState, name: str, deployment: DeploymentState) -> ApplicationState:
    """The application with that deployment instead of the one of its name."""
    return replace(application, deployments={**application.deployments, name: deployment})


def moved(replica: Replica, event: ReplicaEvent, now_s: float) -> Replica:
    """The replica after an event; raises :class:`ImpossibleEvent` where the table has no cell."""
    try:
        after = TRANSITIONS[replica.state][event]
    except KeyError:
        raise ImpossibleEvent(replica, event) from None
    return replica if after is replica.state else replace(replica, state=after, since_s=now_s)


def drained(replica: Replica, why: str, now_s: float) -> Replica:
    """The replica, told to end and why. One that is still starting has begun nothing, so it need not end anything."""
    grace_s = replica.grace_s + KILL_GRACE_S if replica.state is ReplicaState.RUNNING else 0.0
    return replace(moved(replica, ReplicaEvent.DRAIN, now_s), kill_at_s=now_s + grace_s, why=why)


def with_death(state: MeshState, replica: Replica, failure: str, now_s: float) -> MeshState:
    """The state in which the unwished end of a live replica has been counted; the replica itself is not touched."""
    revision = state.revision_of(replica)
    if revision is None:
        return state
    application = state.applications[replica.application]
    deployment = application.deployments[replica.deployment]
    if replica.state is ReplicaState.RUNNING and now_s - replica.since_s >= EARLY_END_S:
        counted = replace(revision, failed_starts=0, retry_at_s=now_s, failure=failure)
    else:
        counted = _with_failed_start(revision, replica.attempt + 1, failure, now_s)
    deployment = replace(
        deployment,
        revisions={**deployment.revisions, revision.key: counted},
        restarts=deployment.restarts + (1 if revision.established else 0),
    )
    return with_application(
        state, replace(application, deployments={**application.deployments, replica.deployment: deployment})
    )


def _with_failed_start(revision: Revision, failed_starts: int, failure: str, now_s: float) -> Revision:
    if failed_starts <= revision.failed_starts:
        return replace(revision, failure=failure)  # it was launched together with one that failed before
    if revision.established:
        first_s, longest_s = BACKOFF_S
        pause_s = min(first_s * 2 ** min(failed_starts - 1, 16), longest_s)
    elif failed_starts <= len(FIRST_TRIES_S):
        pause_s = FIRST_TRIES_S[failed_starts - 1]
    else:
        return replace(revision, failed_starts=failed_starts, failure=failure, gave_up=True)
    return replace(revision, failed_starts=failed_starts, failure=failure, retry_at_s=now_s + pause_s)
