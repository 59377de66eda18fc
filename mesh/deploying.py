"""Deploying on a mesh of processes: from an application to one that runs and can be reached."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager

from mesh import rollout
from mesh.claim import claimed
from mesh.config import Application, DeploymentConfig
from mesh.errors import DeployFailed, MeshError
from mesh.notices import show
from mesh.used_mesh import UsedMesh


def deploy(mesh: UsedMesh, application: Application, on_progress: rollout.OnProgress | None = None) -> None:
    """Make it the wished-for state and wait until it runs and can be reached.

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when it does not come up; one that was not there
    before is taken away then, if it can be. Raises :class:`mesh.errors.DeployInProgress` while somebody else deploys.
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
                _take_away(mesh, name)
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


def _take_away(mesh: UsedMesh, name: str) -> None:
    """Delete what did not come up. Why it did not is what the user has to see, whatever becomes of this."""
    try:
        delete(mesh, name)
    except MeshError as error:
        show(f"application {name!r} did not come up, and is still there: {error}")


def _claimed(mesh: UsedMesh, application: str) -> AbstractContextManager[None]:
    return claimed(mesh.living.run_directory, application, f"{_script()} (pid {os.getpid()})")


def _script() -> str:
    return os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "an interactive session"
