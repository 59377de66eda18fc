"""Deployments that autoscale, and policies: good ones, and such as nobody should write."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.requests import Request

import mesh
from tests.services.journal import wait_for_file

QUICK = {
    "min_replicas": 0,
    "max_replicas": 4,
    "target_ongoing_requests": 4,
    "upscale_delay_s": 0.2,
    "downscale_delay_s": 0.5,
    "look_back_period_s": 0.2,
    "metrics_interval_s": 0.05,
}
"""Delays for tests, which have no minutes."""


@mesh.deployment(max_ongoing_requests=16, autoscaling_config=QUICK)
class Elastic:
    """Says which process answers. It is made when there is a file at ``gate``."""

    def __init__(self, gate: Path | None = None, version: int = 1) -> None:
        self.version = version
        if gate is not None:
            wait_for_file(gate)

    async def work(self, key: object = "", seconds: float = 0.02) -> int:
        """Takes a while, on the loop."""
        await asyncio.sleep(seconds)
        return os.getpid()

    async def which(self) -> int:
        """The version."""
        return self.version

    async def __call__(self, request: Request) -> str:
        """By HTTP."""
        return f"{await self.work(seconds=float(request.query_params.get('seconds', '0.02')))}"


@mesh.deployment
class Front:
    """Calls it from another replica."""

    def __init__(self, elastic: mesh.DeploymentHandle) -> None:
        self.elastic = elastic

    async def work(self) -> int:
        """What the other says."""
        return int(await self.elastic.work())


def two(context: mesh.AutoscalingContext) -> int:
    """Always the same."""
    assert (context.deployment, context.min_replicas, context.max_replicas) == ("Elastic", 1, 4)
    return 2


def raises(context: mesh.AutoscalingContext) -> int:
    """Knows no answer."""
    raise LookupError("no idea")


def nonsense(context: mesh.AutoscalingContext) -> int:
    """Gives no number."""
    return "many"  # type: ignore[return-value]
