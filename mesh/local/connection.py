"""The connection of a process to the mesh inside it: the real one, with another controller and another carrier."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import TYPE_CHECKING, cast

from mesh.client import ControllerClient
from mesh.connect import Connection
from mesh.loops import LoopThread
from mesh.v1 import controller_pb2, endpoint_pb2

if TYPE_CHECKING:
    from mesh.local.applications import LocalApplications


class LocalConnection(Connection):
    """The connection of this process to its own local mesh."""

    def __init__(self, name: str, applications: LocalApplications, thread: LoopThread) -> None:
        client = cast(ControllerClient, _Endpoints(applications))  # as far as a connection itself needs one
        super().__init__(name, client, applications.carry, thread)

    def _is_there(self) -> bool:
        return True


class _Endpoints:
    """What a connection asks of a controller."""

    def __init__(self, applications: LocalApplications) -> None:
        self._applications = applications

    def watch_endpoints(self, application: str, deployment: str) -> AsyncGenerator[endpoint_pb2.EndpointSet, None]:
        return self._applications.endpoints.subscribe((application, deployment))

    async def report_demand(self, reports: AsyncIterable[controller_pb2.ReportDemandRequest]) -> None:
        """Nothing autoscales in one process: what is told is read, and that is all."""
        async for _ in reports:
            pass

    async def close(self) -> None: ...
