"""What ``deploy()`` of one deployment puts on a mesh, and where it is found again; local or of processes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mesh.application import application_of
from mesh.config import Application, ApplicationSpec, DeploymentSpec
from mesh.lookup import find_deployment

if TYPE_CHECKING:
    from mesh.deployments import Deployment
    from mesh.stored import StoredDeployment


class DeployedMesh(Protocol):
    """A mesh, as far as it tells what is deployed on it."""

    def applications(self) -> Sequence[ApplicationSpec]:
        """All applications."""
        ...

    def blobs(self, names: set[str]) -> Mapping[str, bytes]:
        """Pickles of theirs, by their SHA-256."""
        ...


M = TypeVar("M", bound=DeployedMesh)


def prepare(
    deployment: Deployment[Any], args: tuple[Any, ...], kwargs: dict[str, Any], start: Callable[[], M]
) -> tuple[M, Application]:
    """The mesh, and what ``deployment.deploy(...)`` puts on it: an application of its name, or its place in its own."""
    stored = deployment.stored
    if stored is None or args or kwargs or deployment.init_args or deployment.init_kwargs:
        node = deployment.bind(*args, **kwargs)
        built = application_of(node, deployment.name, deployment.route_prefix)  # what cannot be run starts nothing
        return start(), replace(built, spec=_with_new_replicas(built.spec))
    mesh = start()
    return mesh, _from_store(mesh, deployment, stored)


def locate(mesh: DeployedMesh, deployment: Deployment[Any]) -> tuple[ApplicationSpec, str]:
    """The application that has this deployment, as one of its own or by the one name that fits, and its name there.

    Raises :class:`mesh.errors.DeploymentNotFound` when it is not deployed.
    """
    applications = mesh.applications()
    own = [one for one in applications if one.name == deployment.application_name]
    if not any(spec.name == deployment.name for one in own for spec in one.deployments):
        own = list(applications)
    application, spec = find_deployment(own, deployment.name)
    return application, spec.name


def renewed(spec: DeploymentSpec) -> DeploymentSpec:
    """The same deployment as another revision: all its replicas are to be new."""
    return replace(spec, renewal=secrets.token_hex(8))


def _with_new_replicas(spec: ApplicationSpec) -> ApplicationSpec:
    """Without a version to go by, ``deploy()`` means new replicas, whatever has changed."""
    driver = next(one for one in spec.deployments if one.name == spec.driver)
    return spec if driver.version else spec.with_deployment(renewed(driver))


def _from_store(mesh: DeployedMesh, deployment: Deployment[Any], stored: StoredDeployment) -> Application:
    """The stored code and arguments with the present settings: within its application, or under a new name alone."""
    spec = replace(
        stored.spec,
        name=deployment.name,
        application=deployment.application_name,
        version=deployment.version or "",
        config=deployment.config,
    )
    spec = spec if spec.version else renewed(spec)
    present = [one for one in mesh.applications() if one.name == spec.application]
    if present and any(one.name == spec.name for one in present[0].deployments):
        whole = present[0].with_deployment(spec)
        if whole.driver == spec.name:
            whole = replace(whole, route_prefix=deployment.route_prefix)
    else:
        spec = replace(spec, application=deployment.name)
        whole = ApplicationSpec(deployment.name, spec.name, (spec,), deployment.route_prefix)
    lacking = whole.blob_names() - stored.blobs.keys()
    return Application(whole, {**stored.blobs, **mesh.blobs(lacking)})
