"""What type checkers see of a decorated class beside the class itself. No program imports this.

mypy takes the name of a decorated class for the class, whatever its decorator returns. :mod:`mesh.mypy_plugin` gives
such a class the metaclass below, so that what a :class:`mesh.deployments.Deployment` has is found on it.
"""

from __future__ import annotations

from typing import Any, TypeVar, Unpack

from mesh.config import DeploymentConfig
from mesh.dag.nodes import ClassNode
from mesh.deployments import Deployment
from mesh.handle import DeploymentHandle
from mesh.options import DeploymentOptions

C = TypeVar("C")


class DeployedClass(type):
    """The public attributes of a deployment, as attributes of the class that was decorated."""

    name: str
    version: str | None
    config: DeploymentConfig
    route_prefix: str | None
    num_replicas: int
    url: str | None

    @property
    def target(cls: type[C]) -> type[C]:
        """The plain class, without its deployment."""
        raise NotImplementedError

    def options(cls: type[C], **options: Unpack[DeploymentOptions]) -> Deployment[type[C]]:
        """See :meth:`mesh.deployments.Deployment.options`."""
        raise NotImplementedError

    def bind(cls: type[C], *args: Any, **kwargs: Any) -> ClassNode[C]:
        """See :meth:`mesh.deployments.Deployment.bind`."""
        raise NotImplementedError

    def deploy(cls, *args: Any, **kwargs: Any) -> None:
        """See :meth:`mesh.deployments.Deployment.deploy`."""
        raise NotImplementedError

    def delete(cls) -> None:
        """See :meth:`mesh.deployments.Deployment.delete`."""
        raise NotImplementedError

    def get_handle(cls: type[C]) -> DeploymentHandle[C]:
        """See :meth:`mesh.deployments.Deployment.get_handle`."""
        raise NotImplementedError
