"""Which revisions of an application's deployments serve, and which are kept up. Pure.

An update is one step for all of an application: the old one serves, whole, until the new one is ready, whole. What
goes away goes after the drivers that may still be calling it for requests that they have begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mesh.controller.state import EARLY_END_S, ApplicationState, DeploymentState, Replica, ReplicaState, wanted_replicas

Peers = Mapping[str, Sequence[Replica]]
"""The replicas of one application by deployment, each in the order of their launches."""


def rolled_out(application: ApplicationState, peers: Peers, now_s: float, stopping: bool) -> ApplicationState:
    """The application with everything switched, noted and let go that may be by now."""
    application = _settled(application, peers, now_s)
    if application.deleting or stopping:
        return application
    return _left(_reached(_switched(application, peers), peers), peers)


def kept_revisions(application: ApplicationState, name: str, peers: Peers, stopping: bool) -> tuple[str, ...]:
    """The revisions of a deployment whose replicas are kept up now.

    What goes away goes after the driver that may still be calling it for the requests that it has begun.
    """
    deployment = application.deployments.get(name)
    if deployment is None:
        return ()
    serving = (deployment.serving,) if deployment.serving else ()
    if application.deleting or stopping:
        return () if name == application.answering or not peers.get(application.answering) else serving
    if not deployment.wished:
        return serving
    wished = deployment.revisions[deployment.wished]
    if deployment.serving in ("", deployment.wished):
        return (deployment.wished,)
    return serving if wished.gave_up else (*serving, deployment.wished)


def _settled(application: ApplicationState, peers: Peers, now_s: float) -> ApplicationState:
    """Notes what the revisions have shown: that one was complete, that its failures are over."""
    deployments = dict(application.deployments)
    for name, deployment in application.deployments.items():
        revisions = dict(deployment.revisions)
        for key, revision in deployment.revisions.items():
            running = _running(peers.get(name, ()), key)
            if len(running) < wanted_replicas(deployment, revision):
                continue
            if not revision.established and running:  # a size of none shows nothing
                revisions[key] = revision = replace(revision, established=True, gave_up=False)
            if (
                revision.failed_starts
                and running
                and all(now_s - replica.since_s >= EARLY_END_S for replica in running)
            ):
                revisions[key] = replace(revision, failed_starts=0, failure="")
        if revisions != deployment.revisions:
            deployments[name] = replace(deployment, revisions=revisions)
    return application if deployments == application.deployments else replace(application, deployments=deployments)


def _switched(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Lets the wished-for revisions serve: all of the application in one step, when the last of them is complete.

    Nobody has to wait for that whose serving revision is absent anyway.
    """
    wished = {name: d for name, d in application.deployments.items() if d.wished}
    if all(_complete(deployment, peers.get(name, ())) for name, deployment in wished.items()):
        switching = {name for name, deployment in wished.items() if deployment.serving != deployment.wished}
        application = _with_driver(application)
    else:
        switching = {name for name, deployment in wished.items() if _is_absent(deployment, peers.get(name, ()))}
    if not switching:
        return application
    deployments = {
        name: replace(deployment, serving=deployment.wished) if name in switching else deployment
        for name, deployment in application.deployments.items()
    }
    return replace(application, deployments=deployments)


def _with_driver(application: ApplicationState) -> ApplicationState:
    driver, route_prefix = application.spec.driver, application.spec.route_prefix
    if (application.answering, application.route_prefix) == (driver, route_prefix):
        return application
    leaving = application.leaving if application.answering == driver else application.answering
    return replace(application, answering=driver, route_prefix=route_prefix, leaving=leaving)


def _reached(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Notes that the driver can be called: it has a replica, or is to have none before it is called."""
    answering = application.deployments.get(application.answering)
    if application.reachable or answering is None or not answering.serving:
        return application
    is_asleep = wanted_replicas(answering, answering.revisions[answering.serving]) == 0
    if not is_asleep and not _running(peers.get(application.answering, ()), answering.serving):
        return application
    return replace(application, reachable=True)


def _left(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Lets deployments that are wished for no longer go: when the others serve, and nobody can be calling them."""
    leavers = [name for name, d in application.deployments.items() if d.serving and not d.wished]
    leavers = [name for name in leavers if _may_leave(application, name, peers)]
    if application.leaving and _is_renewed(application, application.leaving, peers.get(application.leaving, ())):
        application = replace(application, leaving="")
    if not leavers:
        return application
    gone = {name: replace(application.deployments[name], serving="") for name in leavers}
    return replace(application, deployments={**application.deployments, **gone})


def _may_leave(application: ApplicationState, name: str, peers: Peers) -> bool:
    for other, deployment in application.deployments.items():
        if deployment.wished and not (
            deployment.serving == deployment.wished and _complete(deployment, peers.get(other, ()))
        ):
            return False
    if name == application.leaving:
        return True
    drivers = (application.leaving, application.answering)
    return all(_is_renewed(application, driver, peers.get(driver, ())) for driver in drivers)


def _is_renewed(application: ApplicationState, name: str, replicas: Sequence[Replica]) -> bool:
    """No replica of the deployment is there, or will be left over, that only ends what it has begun."""
    deployment = application.deployments.get(name)
    wished = deployment.revisions.get(deployment.wished) if deployment else None
    if deployment is None or wished is None:
        return not replicas
    current = all(replica.live and replica.revision == wished.key for replica in replicas)
    return current and len(replicas) <= wanted_replicas(deployment, wished)


def _complete(deployment: DeploymentState, replicas: Sequence[Replica]) -> bool:
    wished = deployment.revisions[deployment.wished]
    if deployment.serving == deployment.wished and wanted_replicas(deployment, wished):
        return wished.established  # one of it may just be being replaced; that need not hold up the others
    return len(_running(replicas, wished.key)) >= wanted_replicas(deployment, wished)


def _is_absent(deployment: DeploymentState, replicas: Sequence[Replica]) -> bool:
    if deployment.serving == deployment.wished:
        return False
    if not deployment.serving:
        return True
    return bool(_running(replicas, deployment.wished)) and not _running(replicas, deployment.serving)


def _running(replicas: Sequence[Replica], revision: str) -> list[Replica]:
    return [r for r in replicas if r.state is ReplicaState.RUNNING and r.revision == revision]
