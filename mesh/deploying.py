"""Deploying: from nodes, or from what a mesh has stored, to an application that runs and can be reached."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mesh import rollout
from mesh.application import application_of
from mesh.claim import claimed
from mesh.config import Application, ApplicationSpec, DeploymentConfig, DeploymentSpec
from mesh.errors import DeployFailed
from mesh.lookup import find_deployment
from mesh.notices import show
from mesh.used_mesh import UsedMesh

if TYPE_CHECKING:
    from mesh.deployments import Deployment
    from mesh.stored import StoredDeployment


def deploy(mesh: UsedMesh, application: Application, on_progress: rollout.OnProgress | None = None) -> None:
    """Make it the wished-for state and wait until it runs and can be reached.

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when it does not come up; one that was not there
    before is taken away then. Raises :class:`mesh.errors.DeployInProgress` while somebody else deploys it.
    """
    name, client = application.spec.name, mesh.connection.client
    with _claimed(mesh, name):
        is_new = all(one.name != name for one in mesh.ask(client.applications()))
        revision = mesh.ask(client.apply(application))
        try:
            mesh.ask(rollout.wait_running(client, name, revision, show, on_progress))
            mesh.wait_reachable(application)
        except DeployFailed:
            if is_new:
                delete(mesh, name)
            raise


def scale(
    mesh: UsedMesh, application: str, name: str, num_replicas: int, on_progress: rollout.OnProgress | None = None
) -> None:
    """Ask for another number of replicas of one deployment, and wait until they are there.

    Raises :class:`mesh.errors.DeploymentNotFound` for what is not there, and as :func:`deploy` does.
    """
    DeploymentConfig(num_replicas=num_replicas)  # a number that is not possible is said here
    client = mesh.connection.client
    with _claimed(mesh, application):
        revision = mesh.ask(client.scale(application, name, num_replicas))
        mesh.ask(rollout.wait_running(client, application, revision, show, on_progress))


def rollback(mesh: UsedMesh, name: str, on_progress: rollout.OnProgress | None = None) -> None:
    """Make what ran before the present application the wished-for state again, and wait until it runs.

    Raises :class:`mesh.errors.ConfigError` when nothing of this name has run before, and as :func:`deploy` does.
    """
    client = mesh.connection.client
    with _claimed(mesh, name):
        revision = mesh.ask(client.rollback(name))
        mesh.ask(rollout.wait_running(client, name, revision, show, on_progress))


def delete(mesh: UsedMesh, name: str) -> None:
    """Take an application away and wait until its replicas have ended what they had begun."""
    client = mesh.connection.client
    revision = mesh.ask(client.delete(name))
    mesh.ask(rollout.wait_deleted(client, name, revision, show))


def deploy_alone(
    deployment: Deployment[Any], args: tuple[Any, ...], kwargs: dict[str, Any], start: Callable[[], UsedMesh]
) -> None:
    """What ``deployment.deploy(...)`` does: an application of its name, or its place in the one where it was found."""
    stored = deployment.stored
    if stored is None or args or kwargs or deployment.init_args or deployment.init_kwargs:
        node = deployment.bind(*args, **kwargs)
        built = application_of(node, deployment.name, deployment.route_prefix)  # what cannot be run starts nothing
        mesh, application = start(), replace(built, spec=_with_new_replicas(built.spec))
    else:
        mesh = start()
        application = _from_store(mesh, deployment, stored)
    deploy(mesh, application)
    mesh.say_at_exit()


def locate(mesh: UsedMesh, deployment: Deployment[Any]) -> tuple[ApplicationSpec, str]:
    """The application that has this deployment, as one of its own or by the one name that fits, and its name there.

    Raises :class:`mesh.errors.DeploymentNotFound` when it is not deployed.
    """
    applications = mesh.ask(mesh.connection.client.applications())
    own = [one for one in applications if one.name == deployment.application_name]
    if not any(spec.name == deployment.name for one in own for spec in one.deployments):
        own = list(applications)
    application, spec = find_deployment(own, deployment.name)
    return application, spec.name


def renewed(spec: DeploymentSpec) -> DeploymentSpec:
    """The same deployment as another revision: all its replicas are to be new."""
    return replace(spec, renewal=secrets.token_hex(8))


def _claimed(mesh: UsedMesh, application: str) -> AbstractContextManager[None]:
    return claimed(mesh.living.run_directory, application, f"{_script()} (pid {os.getpid()})")


def _with_new_replicas(spec: ApplicationSpec) -> ApplicationSpec:
    """Without a version to go by, ``deploy()`` means new replicas, whatever has changed."""
    driver = next(one for one in spec.deployments if one.name == spec.driver)
    return spec if driver.version else spec.with_deployment(renewed(driver))


def _from_store(mesh: UsedMesh, deployment: Deployment[Any], stored: StoredDeployment) -> Application:
    """The stored code and arguments with the present settings: within its application, or under a new name alone."""
    client = mesh.connection.client
    spec = replace(
        stored.spec,
        name=deployment.name,
        application=deployment.application_name,
        version=deployment.version or "",
        config=deployment.config,
    )
    spec = spec if spec.version else renewed(spec)
    present = [one for one in mesh.ask(client.applications()) if one.name == spec.application]
    if present and any(one.name == spec.name for one in present[0].deployments):
        whole = present[0].with_deployment(spec)
        if whole.driver == spec.name:
            whole = replace(whole, route_prefix=deployment.route_prefix)
    else:
        spec = replace(spec, application=deployment.name)
        whole = ApplicationSpec(deployment.name, spec.name, (spec,), deployment.route_prefix)
    lacking = whole.blob_names() - stored.blobs.keys()
    return Application(whole, {**stored.blobs, **mesh.ask(client.blobs(lacking))})


def _script() -> str:
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "an interactive session"
