"""What more than one benchmark deploys, and how."""

from __future__ import annotations

import asyncio

import mesh
from benchmarks.load import PAYLOAD, run_load
from benchmarks.rounds import Load
from benchmarks.unary import UnaryClient
from mesh import DeploymentHandle
from mesh.dag import DeploymentNode


async def deploy(node: DeploymentNode, name: str = "default", route_prefix: str | None = "/") -> DeploymentHandle:
    """Run a node on the mesh of this process, at any free port of 127.0.0.1."""
    await asyncio.to_thread(mesh.start, http_options=mesh.HTTPOptions("127.0.0.1", 0))
    return await asyncio.to_thread(mesh.run, node, name=name, route_prefix=route_prefix)


def url() -> str:
    """Where the mesh of this process answers HTTP, without a slash at the end."""
    return mesh.status().url.rstrip("/")


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

    def __init__(self, callee: DeploymentHandle) -> None:
        self._callee = callee

    async def mesh_load(self, method: str, concurrent: int, for_s: float) -> Load:
        handle = getattr(self._callee, method)
        return await run_load(lambda: handle(PAYLOAD), concurrent, for_s)

    async def unary_load(self, addresses: list[str], concurrent: int, for_s: float) -> Load:
        client = UnaryClient(addresses)
        try:
            return await run_load(client.call, concurrent, for_s)
        finally:
            await client.close()
