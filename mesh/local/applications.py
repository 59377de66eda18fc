"""The applications of a local mesh: built, published to the routers, drained. All of it on one loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

from mesh.application_status import ApplicationStatus
from mesh.carrier import Carrier, InProcess, Passenger
from mesh.config import Application, ApplicationSpec, DeploymentSpec
from mesh.context import ReplicaContext
from mesh.controller.state import revision_key
from mesh.controller.views import unknown_endpoint_set
from mesh.controller.watch import Watch
from mesh.errors import DeployFailed, DeploymentNotFound
from mesh.local.connection import LocalConnection
from mesh.local.views import application_status, endpoint_set
from mesh.loops import LoopThread
from mesh.router.endpoints import Endpoint
from mesh.target_pickle import copy_application
from mesh.v1 import endpoint_pb2
from sidecar.replica import Replica
from sidecar.session import ReplicaSession
from sidecar.user_code import ConstructionFailed, UserCode

Key = tuple[str, str]
"""The application and the deployment."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class LocalApplication:
    """An application that runs here: its replicas by deployment, and the pickles of its spec by their SHA-256."""

    spec: ApplicationSpec
    replicas: Mapping[str, list[LocalReplica]]
    blobs: Mapping[str, bytes] = field(default_factory=dict)


class LocalReplica(Replica):
    """A replica in this process; ``lives`` is what has to end with it."""

    def __init__(self, context: ReplicaContext, spec: DeploymentSpec, user_code: UserCode, mesh: object) -> None:
        super().__init__(context, spec, user_code, mesh)
        self.lives = AsyncExitStack()


class LocalApplications:
    """The applications of one local mesh; on its loop."""

    def __init__(self, thread: LoopThread) -> None:
        self.connection = LocalConnection(f"local mesh {next(_numbers)}", self, thread)
        self.endpoints: Watch[Key, endpoint_pb2.EndpointSet] = Watch(
            lambda known, key: unknown_endpoint_set(known, *key)
        )
        self.routes: Watch[str, tuple[endpoint_pb2.Route, ...]] = Watch(lambda known, key: ())
        self.by_id: dict[str, LocalReplica] = {}
        self._applications: dict[str, LocalApplication] = {}
        self._version = count(1)
        self._launched = count(1)
        self._serving = AsyncExitStack()
        self._one_change = asyncio.Lock()

    async def run(self, application: Application) -> None:
        """Replace the application of that name: the new replicas are built first; what did not change keeps its own."""
        async with self._one_change:
            await self._run(application)

    async def _run(self, application: Application) -> None:
        spec = application.spec
        self._check_route(spec)
        before = self._applications.get(spec.name)
        kept = {} if before is None else _unchanged(before, spec)
        new = {d.name: self._replicas_of(d, application.blobs) for d in spec.deployments if d.name not in kept}
        if before is None:  # a constructor may call the others: they are there, and have no replica yet
            self._publish({spec.name: LocalApplication(spec, {})})
        try:
            await _build([replica for replicas in new.values() for replica in replicas])
        except BaseException as error:
            self._publish({})
            await self._end(LocalApplication(spec, new), grace_s=0.0)
            if isinstance(error, ConstructionFailed):
                raise DeployFailed(f"application {spec.name!r} does not come up\n{error.traceback}") from error
            raise
        for replica in (replica for replicas in new.values() for replica in replicas):
            self.by_id[replica.replica_id] = replica
            await replica.lives.enter_async_context(replica.looked_after(lambda: None))
        self._applications[spec.name] = LocalApplication(spec, {**kept, **new}, application.blobs)
        self._publish({})
        if before is not None:
            gone = {name: replicas for name, replicas in before.replicas.items() if name not in kept}
            await self._end(LocalApplication(before.spec, gone))
        await self._configure(spec, kept)

    async def _configure(self, spec: ApplicationSpec, kept: Mapping[str, list[LocalReplica]]) -> None:
        """Give the replicas that stay their new settings."""
        refusals = []
        for deployment in spec.deployments:
            for replica in kept.get(deployment.name, ()):
                replica.configure(deployment.config)
                await replica.wait_configured()
                if replica.condition.refused:
                    refusals.append(
                        f"replica {replica.replica_id} keeps the user_config that it had: reconfigure raised\n"
                        f"{replica.condition.refusal}"
                    )
        if refusals:
            raise DeployFailed(f"application {spec.name!r} does not come up\n" + "\n".join(refusals))

    async def delete(self, name: str) -> None:
        """Drain an application."""
        async with self._one_change:
            application = self._applications.pop(name, None)
            if application is None:
                known = ", ".join(sorted(self._applications)) or "none"
                raise DeploymentNotFound(f"there is no application {name!r}; there are: {known}")
            self._publish({})
            await self._end(application)

    async def listen(self, listeners: tuple[socket.socket, ...]) -> None:
        from mesh.local.http import serving  # it needs what the rest of a local mesh does without

        await self._serving.enter_async_context(serving(self.connection.router, self.routes.subscribe(""), listeners))

    async def close(self, drain: bool) -> None:
        await self._serving.aclose()
        while self._applications:
            _, application = self._applications.popitem()
            await self._end(application, None if drain else 0.0)

    def specs(self) -> tuple[ApplicationSpec, ...]:
        return tuple(application.spec for application in list(self._applications.values()))

    def blobs(self, names: set[str]) -> dict[str, bytes]:
        every = [application.blobs for application in list(self._applications.values())]
        return {name: blob for blobs in every for name, blob in blobs.items() if name in names}

    def statuses(self) -> tuple[ApplicationStatus, ...]:
        return tuple(
            application_status(application.spec, application.replicas)
            for application in list(self._applications.values())
        )

    def carry(self, endpoint: Endpoint, passenger: Passenger) -> Carrier:
        """A session with a replica, as a router asks for it."""
        near, far = InProcess(), InProcess()
        near.join(far)
        near.passenger = passenger
        replica = self.by_id.get(endpoint.replica_id)
        if replica is None:  # it has ended, and the router has not heard of it yet
            self.connection.loop.call_soon(near.close)
            return near
        session = ReplicaSession(replica)
        session.carrier, far.passenger = far, session
        replica.joined(session)
        near.wake()
        return near

    def _replicas_of(self, spec: DeploymentSpec, blobs: Mapping[str, bytes]) -> list[LocalReplica]:
        replicas = []
        for rank in range(spec.config.num_replicas):
            context = ReplicaContext(spec.application, spec.name, f"{spec.name}#{next(self._launched):06x}", rank)
            user_code = UserCode(spec, blobs.__getitem__, copy_application)
            replicas.append(LocalReplica(context, spec, user_code, self.connection))
        return replicas

    def _check_route(self, spec: ApplicationSpec) -> None:
        for other in self._applications.values():
            if other.spec.name != spec.name and other.spec.route_prefix == spec.route_prefix is not None:
                raise spec.route_is_taken(other.spec.name)

    def _publish(self, beside: Mapping[str, LocalApplication]) -> None:
        version = next(self._version)
        sets = {}
        for application in {**self._applications, **beside}.values():
            for deployment in application.spec.deployments:
                replicas = application.replicas.get(deployment.name, [])
                sets[application.spec.name, deployment.name] = endpoint_set(deployment, replicas, version)
        self.endpoints.publish(sets)
        specs = [application.spec for application in self._applications.values()]
        routes = [
            endpoint_pb2.Route(prefix=spec.route_prefix, application=spec.name, deployment=spec.driver)
            for spec in specs
            if spec.route_prefix is not None
        ]
        self.routes.publish({"": tuple(routes)})

    async def _end(self, application: LocalApplication, grace_s: float | None = None) -> None:
        """Drain the replicas, the driver first: it may still call the others."""
        names = sorted(application.replicas, key=lambda name: name != application.spec.driver)
        for name in names:
            config = next(d.config for d in application.spec.deployments if d.name == name)
            timeout_s = config.graceful_shutdown_timeout_s if grace_s is None else grace_s
            await asyncio.gather(*(replica.drain(timeout_s) for replica in application.replicas[name]))
        for replicas in application.replicas.values():
            for replica in replicas:
                self.by_id.pop(replica.replica_id, None)
                await replica.lives.aclose()
                replica.close()


async def _build(replicas: Sequence[LocalReplica]) -> None:
    """Build all of them at the same time; the first that fails ends the others."""
    tasks = [asyncio.create_task(replica.build()) for replica in replicas]
    try:
        for built in asyncio.as_completed(tasks):
            await built
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _unchanged(before: LocalApplication, spec: ApplicationSpec) -> dict[str, list[LocalReplica]]:
    """The replicas of deployments whose code and number are the same as before."""
    old = {deployment.name: deployment for deployment in before.spec.deployments}
    return {
        deployment.name: before.replicas[deployment.name]
        for deployment in spec.deployments
        if (present := old.get(deployment.name)) is not None
        and revision_key(present) == revision_key(deployment)
        and present.config.num_replicas == deployment.config.num_replicas
    }
