"""What is deployed, as the door knows it: names for those who ask by name, and which applications can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mesh.errors import DeploymentNotFound, MeshUnavailable
from mesh.v1 import controller_pb2 as pb

DEFAULT_APPLICATION: Final = "default"
"""What an empty application means: the name that ``mesh.run`` gives when it is told none."""

ANSWER_TIMEOUT_S: Final = 2.0
"""How long the controller may take to say whether it knows a name that the door does not know."""


@dataclass(frozen=True, slots=True)
class Known:
    """One application: the deployment that answers for it, all of them, and whether the first can be called."""

    driver: str
    deployments: frozenset[str]
    is_serving: bool


def read_status(status: pb.Status) -> dict[str, Known]:
    """The applications of a status by their names."""
    return {
        application.name: Known(
            driver=application.answering or application.driver,
            deployments=frozenset(deployment.name for deployment in application.deployments),
            is_serving=application.phase != pb.PHASE_DELETING and _answers(application),
        )
        for application in status.applications
    }


def _answers(application: pb.ApplicationStatus) -> bool:
    """Its driver has a replica, or autoscales and gets one as soon as it is called."""
    return any(
        (deployment.scaling and deployment.num_replicas == 0)
        or any(replica.state == pb.REPLICA_STATE_RUNNING for replica in deployment.replicas)
        for deployment in application.deployments
        if deployment.name == (application.answering or application.driver)
    )


class Applications:
    """The applications of the mesh. ``ask`` asks the controller for its status, for a name that is not known here."""

    def __init__(self, ask: Callable[[], Awaitable[pb.Status]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None
        self._known: Mapping[str, Known] = {}
        self._revision = 0

    @property
    def known(self) -> Mapping[str, Known]:
        """All applications by their names."""
        return self._known

    def apply(self, status: pb.Status) -> None:
        """Take over a status, unless it is older than the last one."""
        if status.revision >= self._revision:
            self._revision = status.revision
            self._known = read_status(status)

    async def find(self, application: str, deployment: str) -> tuple[str, str]:
        """The names of the deployment that is meant: an empty one is the driver of its application.

        Only a name that exists gets a router, so a client with wrong names costs no memory. Raises
        :class:`mesh.errors.DeploymentNotFound`, which names those that exist.
        """
        name = application or DEFAULT_APPLICATION
        found = self._look_up(name, deployment)
        if found is None:
            await self._ask_controller(name)
            found = self._look_up(name, deployment)
        if found is None:
            raise DeploymentNotFound(self._unknown(name, deployment))
        return name, found

    def _look_up(self, application: str, deployment: str) -> str | None:
        known = self._known.get(application)
        if known is None or (deployment and deployment not in known.deployments):
            return None
        return deployment or known.driver

    async def _ask_controller(self, application: str) -> None:
        """The watch may be a moment behind. All who ask at the same time share one question."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh())
        try:
            await asyncio.shield(self._asking)
        except (MeshUnavailable, TimeoutError):
            if application not in self._known:
                raise MeshUnavailable(
                    f"the door does not know application {application!r}, and the controller does not answer now"
                ) from None

    async def _refresh(self) -> None:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            self.apply(await self._ask())

    def _unknown(self, application: str, deployment: str) -> str:
        known = self._known.get(application)
        if known is None:
            return f"there is no application {application!r}; there are: {_listed(self._known)}"
        return f"application {application!r} has no deployment {deployment!r}, it has {_listed(known.deployments)}"


def _listed(names: Mapping[str, object] | frozenset[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)) or "none"
