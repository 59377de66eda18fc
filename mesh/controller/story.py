"""What has happened, for people: the differences between two states of the mesh, in words. Pure.

Nothing here decides, and nothing depends on it. ``now_s`` are seconds since the epoch, because people read them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mesh.controller.events import Applied, Deleted, Ended, Event, RolledBack, Said, Silent, apply
from mesh.controller.shares import serving_revisions
from mesh.controller.state import (
    ApplicationState,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaEvent,
    ReplicaState,
    wanted_replicas,
)

KEPT_PER_DEPLOYMENT = 100
"""The newest entries of each deployment that are remembered; one that dies again and again displaces no other's."""

KEPT = 1000
"""The newest entries of all that are remembered."""

LONGEST_MESSAGE = 2000
"""Characters of a message, counted from its end: the end of a traceback says most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to an application, to one of its deployments, or to one replica; "" = to all of them."""

    number: int
    at_s: float
    application: str
    deployment: str
    replica_id: str
    what: str
    message: str


@dataclass(frozen=True, slots=True)
class Story:
    """The newest entries, the oldest first; ``told`` is the number of the last one."""

    entries: tuple[Entry, ...] = ()
    told: int = 0

    def after(self, number: int) -> tuple[Entry, ...]:
        """The entries of higher numbers."""
        return tuple(entry for entry in self.entries if entry.number > number)


def continued(story: Story, before: MeshState, after: MeshState, events: Sequence[Event], now_s: float) -> Story:
    """The story with what these events have led to."""
    happened = [*_wishes(events, after), *_applications(before, after, events), *_replicas(before, after, events)]
    if not happened:
        return story
    new = [
        Entry(story.told + number, now_s, application, deployment, replica_id, what, message[-LONGEST_MESSAGE:])
        for number, (application, deployment, replica_id, what, message) in enumerate(happened, 1)
    ]
    return Story(_newest((*story.entries, *new)), story.told + len(new))


def _newest(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    kept: list[Entry] = []
    counted: defaultdict[tuple[str, str], int] = defaultdict(int)
    for entry in reversed(entries):
        counted[entry.application, entry.deployment] += 1
        if counted[entry.application, entry.deployment] <= KEPT_PER_DEPLOYMENT and len(kept) < KEPT:
            kept.append(entry)
    return tuple(reversed(kept))


_Happened = Iterator[tuple[str, str, str, str, str]]


def _wishes(events: Sequence[Event], after: MeshState) -> _Happened:
    for event in events:
        match event:
            case Applied(spec):
                yield spec.name, "", "", "applied", ", ".join(deployment.name for deployment in spec.deployments)
            case RolledBack(name):
                there = after.applications[name].spec.deployments if name in after.applications else ()
                yield name, "", "", "rolled back", ", ".join(deployment.name for deployment in there)
            case Deleted(name):
                yield name, "", "", "deleted", ""


def _applications(before: MeshState, after: MeshState, events: Sequence[Event]) -> _Happened:
    wished = {event.spec.name for event in events if isinstance(event, Applied)}
    for name, application in after.applications.items():
        earlier = before.applications.get(name)
        if application is earlier:
            continue
        was_complete = earlier is not None and earlier.spec == earlier.good and name not in wished
        if application.spec == application.good and not was_complete:
            yield name, "", "", "complete", "all that is wished for runs"
        for deployment_name, deployment in application.deployments.items():
            was = earlier.deployments.get(deployment_name) if earlier else None
            if deployment is not was:
                for what, message in _changes(application, was, deployment):
                    yield name, deployment_name, "", what, message
    for name in before.applications.keys() - after.applications.keys():
        yield name, "", "", "gone", ""


def _changes(
    application: ApplicationState, before: DeploymentState | None, after: DeploymentState
) -> Iterator[tuple[str, str]]:
    wished = after.revisions.get(after.wished)
    earlier = before.revisions.get(before.wished) if before else None
    if wished is None:
        if before is not None and before.wished:
            yield "leaving", f"application {application.spec.name!r} is without it now"
        return
    wanted = wanted_replicas(after, wished)
    if before is None or earlier is None or earlier.key != wished.key:
        yield "wished for", f"revision {wished.key}, replicas: {wanted}"
    elif wanted_replicas(before, earlier) != wanted:
        by_hand = f"from {wanted_replicas(before, earlier)} to {wanted} replicas"
        by_load = after.size.why if after.size and wished.spec.config.autoscaling_config else ""
        yield "scaled", by_load or by_hand
    trouble = after.size.trouble if after.size else ""
    if trouble and not (before is not None and before.size is not None and before.size.trouble == trouble):
        yield "size kept", trouble
    serving, served = serving_revisions(after), serving_revisions(before) if before else ()
    if serving != served and serving:
        yield "serving", " and ".join(f"revision {key}" for key in serving)
    if wished.gave_up and not (earlier is not None and earlier.gave_up and earlier.key == wished.key):
        yield "given up", f"revision {wished.key} did not start {wished.failed_starts} times\n{wished.failure}"


def _replicas(before: MeshState, after: MeshState, events: Sequence[Event]) -> _Happened:
    ends = {event.replica_id: event.message for event in events if isinstance(event, Ended)}
    failed = {e.replica_id for e in events if isinstance(e, Said) and e.event is ReplicaEvent.SAID_FAILED}
    for replica_id, replica in after.replicas.items():
        earlier = before.replicas.get(replica_id)
        if replica is not earlier:
            for what, message in _steps(earlier, replica, replica_id in failed):
                yield replica.application, replica.deployment, replica_id, what, message
    for replica_id in before.replicas.keys() - after.replicas.keys():
        earlier = before.replicas[replica_id]
        replica = _at_its_end(before, earlier, events)
        if earlier.live and not replica.live:
            what = "failed" if replica_id in failed else "draining"
            yield replica.application, replica.deployment, replica_id, what, replica.why
        message = ends.get(replica_id, "ended while there was no controller")
        if replica.live and replica_id in ends:
            message = f"{message}; nobody had told it to"
        yield replica.application, replica.deployment, replica_id, "ended", message


def _at_its_end(state: MeshState, replica: Replica, events: Sequence[Event]) -> Replica:
    """What had become of a replica when it ended: it may have said why together with its end."""
    for event in events:
        match event:
            case Ended(replica.replica_id):
                break
            case Said(replica.replica_id) | Silent(replica.replica_id):
                state = apply(state, event, replica.since_s)
    return state.replicas[replica.replica_id]


def _steps(before: Replica | None, after: Replica, has_failed: bool) -> Iterator[tuple[str, str]]:
    if before is None:
        yield "launched", f"rank {after.rank}, revision {after.revision}"
        return
    if after.state is ReplicaState.STARTING and after.line and not before.line:
        yield "starting", f"pid {after.pid}, its object is being built"
    if after.state is ReplicaState.RUNNING and before.state is ReplicaState.STARTING:
        yield "ready", f"pid {after.pid}, after {after.since_s - before.since_s:.1f} s"
    if after.condition.failed_checks > before.condition.failed_checks:
        yield "check failed", f"in a row: {after.condition.failed_checks}\n{after.condition.check_failure}"
    if after.condition.refused and after.condition.refused != before.condition.refused:
        yield "refused", f"it keeps the user_config that it had: reconfigure raised\n{after.condition.refusal}"
    if after.state is ReplicaState.DRAINING and before.state is not ReplicaState.DRAINING:
        yield "failed" if has_failed else "draining", after.why
