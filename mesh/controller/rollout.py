"""Which revisions of an application's deployments serve. Pure.

An update is one step for all of an application: the old one serves, whole, until the new one is ready, whole. Only
where ``max_surge`` leaves no room for that do two revisions of a deployment serve together, and not before it has been
seen of every deployment that its new revision starts. What goes away goes after the drivers that may still be calling
it for requests that they have begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mesh.controller.shares import Peers, has_failed, is_bounded, limits_of, running, serving_revisions
from mesh.controller.state import EARLY_END_S, ApplicationState, DeploymentState, Replica, wanted_replicas
from mesh.user_config import user_config_key


def rolled_out(application: ApplicationState, peers: Peers, now_s: float, stopping: bool) -> ApplicationState:
    """The application with everything switched, noted and let go that may be by now."""
    application = _settled(application, peers, now_s)
    if application.deleting or stopping:
        return application
    application = _tidied(_mixed(_switched(application, peers), peers), peers)
    return _remembered(_left(_reached(application, peers), peers), peers)


def _settled(application: ApplicationState, peers: Peers, now_s: float) -> ApplicationState:
    """Notes what the revisions have shown: that one was complete, that its failures are over."""
    deployments = dict(application.deployments)
    for name, deployment in application.deployments.items():
        revisions = dict(deployment.revisions)
        for key, revision in deployment.revisions.items():
            ready = running(peers.get(name, ()), key)
            if len(ready) < wanted_replicas(deployment, revision):
                continue
            if not revision.established and ready:  # a size of none shows nothing
                revisions[key] = revision = replace(revision, established=True, gave_up=False)
            if revision.failed_starts and ready and all(now_s - replica.since_s >= EARLY_END_S for replica in ready):
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
        switching = {name for name, d in wished.items() if d.serving != d.wished or d.also_serving}
        application = _with_driver(application)
    else:
        switching = {name for name, deployment in wished.items() if _is_absent(deployment, peers.get(name, ()))}
    if not switching:
        return application
    deployments = {
        name: replace(deployment, serving=deployment.wished, also_serving=()) if name in switching else deployment
        for name, deployment in application.deployments.items()
    }
    return replace(application, deployments=deployments)


def _mixed(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Lets new revisions serve beside the old ones where they have no room to become complete otherwise."""
    if has_failed(application):
        return application
    wished = {name: d for name, d in application.deployments.items() if d.wished}
    mixing = {name for name, d in wished.items() if is_bounded(d, d.wished) and d.wished not in serving_revisions(d)}
    if not mixing or not all(_is_proven(d, peers.get(name, ())) for name, d in wished.items()):
        return application
    deployments = {
        name: replace(d, also_serving=(*d.also_serving, d.wished)) if name in mixing else d
        for name, d in application.deployments.items()
    }
    return replace(application, deployments=deployments)


def _is_proven(deployment: DeploymentState, replicas: Sequence[Replica]) -> bool:
    """The wished-for revision starts, as far as that can be seen before an old replica has to go."""
    if not is_bounded(deployment, deployment.wished):
        return _complete(deployment, replicas)
    is_first = limits_of(deployment, deployment.wished).surge == 0
    return is_first or deployment.wished in serving_revisions(deployment) or bool(running(replicas, deployment.wished))


def _tidied(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Forgets revisions that served beside another one and of which nothing is left."""
    deployments = dict(application.deployments)
    for name, deployment in application.deployments.items():
        aim = "" if has_failed(application) else deployment.wished
        live = {replica.revision for replica in peers.get(name, ()) if replica.live}
        also_serving = tuple(key for key in deployment.also_serving if key == aim or key in live)
        if also_serving != deployment.also_serving:
            deployments[name] = replace(deployment, also_serving=also_serving)
    return application if deployments == application.deployments else replace(application, deployments=deployments)


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
    replicas = peers.get(application.answering, ())
    if not is_asleep and not any(running(replicas, key) for key in serving_revisions(answering)):
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
    gone = {name: replace(application.deployments[name], serving="", also_serving=()) for name in leavers}
    return replace(application, deployments={**application.deployments, **gone})


def _remembered(application: ApplicationState, peers: Peers) -> ApplicationState:
    """Notes a spec of which everything is ready: it is what a later one may be rolled back to."""
    if application.spec == application.good:
        return application
    for name, deployment in application.deployments.items():
        if deployment.wished and not _is_as_wished(deployment, peers.get(name, ())):
            return application
    return replace(application, good=application.spec, previous=application.good)


def _is_as_wished(deployment: DeploymentState, replicas: Sequence[Replica]) -> bool:
    wished = deployment.revisions[deployment.wished]
    user_config = user_config_key(wished.spec.config.user_config_json)
    ready = [r for r in running(replicas, wished.key) if r.condition.user_config == user_config]
    return serving_revisions(deployment) == (wished.key,) and len(ready) >= wanted_replicas(deployment, wished)


def _may_leave(application: ApplicationState, name: str, peers: Peers) -> bool:
    for other, deployment in application.deployments.items():
        if deployment.wished and not (
            serving_revisions(deployment) == (deployment.wished,) and _complete(deployment, peers.get(other, ()))
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
    return len(running(replicas, wished.key)) >= wanted_replicas(deployment, wished)


def _is_absent(deployment: DeploymentState, replicas: Sequence[Replica]) -> bool:
    if deployment.serving == deployment.wished:
        return False
    if not deployment.serving:
        return True
    others = (key for key in serving_revisions(deployment) if key != deployment.wished)
    return bool(running(replicas, deployment.wished)) and not any(running(replicas, key) for key in others)
