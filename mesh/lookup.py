"""Finding a deployment by its name among the applications of a mesh. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh.config import ApplicationSpec, DeploymentSpec
from mesh.errors import ConfigError, DeploymentNotFound

Found = tuple[ApplicationSpec, DeploymentSpec]


def find_deployment(applications: Sequence[ApplicationSpec], name: str, application: str | None = None) -> Found:
    """The deployment ``name``, also written "application/name", and the application that it is part of.

    Raises :class:`DeploymentNotFound` for one that is not there, naming those that are, and :class:`ConfigError` when
    several applications have one of that name.
    """
    if application is None and "/" in name:
        application, _, name = name.partition("/")
    known = list(_all(applications))
    found = [one for one in known if one[1].name == name and application in (None, one[0].name)]
    if len(found) == 1:
        return found[0]
    if found:
        both = " and ".join(f"{spec.name}/{name}" for spec, _ in found)
        raise ConfigError(f"there are {len(found)} deployments {name!r}: {both}; say which one")
    wanted = f"{application}/{name}" if application else name
    there = ", ".join(names_of(applications)) or "none"
    raise DeploymentNotFound(f"there is no deployment {wanted!r}; there are: {there}")


def names_of(applications: Sequence[ApplicationSpec]) -> dict[str, Found]:
    """All deployments, by their names where these are unique and by "application/name" where they are not."""
    known = list(_all(applications))
    names = [deployment.name for _, deployment in known]
    return {
        name if names.count(name) == 1 else f"{application.name}/{name}": (application, deployment)
        for application, deployment in known
        for name in (deployment.name,)
    }


def _all(applications: Sequence[ApplicationSpec]) -> Iterator[Found]:
    return ((application, deployment) for application in applications for deployment in application.deployments)
