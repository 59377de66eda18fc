"""What the benchmarks deploy."""

from __future__ import annotations

import mesh
from benchmarks.load import PAYLOAD, Load, UnaryClient, run_load
from mesh import DeploymentHandle


@mesh.deployment(max_ongoing_requests=1000, max_queued_requests=10_000)
class Echo:
    """Answers with its argument, from a coroutine and from a plain method."""

    async def echo(self, value: object) -> object:
        return value

    def plain(self, value: object) -> object:
        return value


@mesh.deployment(max_ongoing_requests=1000, request_timeout_s=120)
class Caller:
    """Runs the load from inside a replica."""

    def __init__(self, echo: DeploymentHandle) -> None:
        self._echo = echo

    async def mesh_load(self, method: str, concurrent: int, for_s: float) -> Load:
        handle = getattr(self._echo, method)
        return await run_load(lambda: handle(PAYLOAD), concurrent, for_s)

    async def unary_load(self, addresses: list[str], concurrent: int, for_s: float) -> Load:
        client = UnaryClient(addresses)
        try:
            return await run_load(client.call, concurrent, for_s)
        finally:
            await client.close()
