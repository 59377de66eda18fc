"""Waiting for an application until it is as it is wished for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from mesh.client import ControllerClient
from mesh.rollout import wait_deleted
from mesh.v1 import controller_pb2 as pb


class Client:
    """Says one status after the other, and then no more."""

    def __init__(self, *phases: pb.Phase) -> None:
        self._statuses = [
            pb.Status(revision=number, applications=[pb.ApplicationStatus(name="shop", phase=phase)])
            for number, phase in enumerate(phases, 1)
        ]

    async def watch_status(self) -> AsyncIterator[pb.Status]:
        for status in self._statuses:
            yield status
        await asyncio.Event().wait()


async def test_who_deletes_waits_no_longer_when_somebody_has_deployed_under_that_name_again() -> None:
    client = cast(ControllerClient, Client(pb.PHASE_RUNNING, pb.PHASE_DELETING, pb.PHASE_DEPLOYING))
    async with asyncio.timeout(2):
        await wait_deleted(client, "shop", 2, print)
