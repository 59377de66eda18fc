"""The sizes that a deployment has had, from every status that its mesh publishes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from types import TracebackType
from typing import Self

from mesh import meshes
from mesh.errors import MeshError


class Sizes:
    """Watches the status while it is open; ``seen`` are the numbers of replicas that were wanted, each change once."""

    def __init__(self, deployment: str) -> None:
        self.seen: list[int] = []
        self.whys: list[str] = []
        self._deployment = deployment
        connection = meshes.to_ask().connection
        assert connection.loop_thread is not None
        self._client, self._thread = connection.client, connection.loop_thread

    def __enter__(self) -> Self:
        self._watching = self._thread.start(self._watch())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watching.cancel()

    @property
    def turns(self) -> int:
        """How often it went the other way."""
        ways = [after > before for before, after in pairwise(self.seen)]
        return sum(one is not other for one, other in pairwise(ways))

    async def _watch(self) -> None:
        with suppress(MeshError, asyncio.CancelledError):
            async for status in self._client.watch_status():
                for application in status.applications:
                    for deployment in application.deployments:
                        if deployment.name == self._deployment:
                            self._take(deployment.num_replicas, deployment.scaling)

    def _take(self, size: int, why: str) -> None:
        if not self.seen or self.seen[-1] != size:
            self.seen.append(size)
        if not self.whys or self.whys[-1] != why:
            self.whys.append(why)
