"""``grpc.health.v1`` of the door: one service per application, by its name, and the door itself under "".

SERVING means that the deployment which answers for the application has a replica that can be called.
"""

from __future__ import annotations

from collections.abc import Mapping

from grpc_health.v1.health import aio  # type: ignore[attr-defined] # the module makes the name when it is imported
from grpc_health.v1.health_pb2 import HealthCheckResponse

from mesh.door.applications import Known

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_GONE = HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """What the health service answers. ``servicer`` is for the server; ``itself`` is the door's own service."""

    def __init__(self, itself: str) -> None:
        self.servicer = aio.HealthServicer()
        self._itself = itself
        self._told: dict[str, int] = {}

    async def apply(self, known: Mapping[str, Known]) -> None:
        """Take over what is deployed; watchers hear what has changed."""
        wished: dict[str, int] = dict.fromkeys(self._told, _GONE)
        wished |= {name: _SERVING if one.is_serving else _NOT_SERVING for name, one in known.items()}
        wished[self._itself] = _SERVING
        for name, status in wished.items():
            if self._told.get(name) != status:
                await self.servicer.set(name, status)
        self._told = wished

    async def shut_down(self) -> None:
        """Tell everybody to go elsewhere."""
        await self.servicer.enter_graceful_shutdown()
