"""What the routers of one process have under way for deployments that autoscale, told to the controller over one line.

It is a state, not a history: the line begins with all of it, again whenever it was broken, and its end takes it back.
Here and nowhere else demand is counted, because each router knows its own calls exactly, and no call is in two routers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from mesh.errors import MeshError
from mesh.v1 import controller_pb2 as pb

if TYPE_CHECKING:
    from mesh.router.router import Router

TELL_AGAIN_S = 0.1
"""So long after the line broke it is opened again."""

SMALLEST = 0.001
"""Means are told in steps of this, so that nothing is told again for nothing."""

Send = Callable[[AsyncIterable[pb.ReportDemandRequest]], Awaitable[None]]


@dataclass(slots=True)
class _Account:
    """One router's calls since it was told last, as an area over time."""

    begun_s: float
    looked_s: float
    area: float = 0.0
    told: pb.Demand | None = None


class DemandLine:
    """Tells the demand of this process; on the loop that runs gRPC. ``send`` opens one line and ends with it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._accounts: dict[Router, _Account] = {}
        self._changed = asyncio.Event()
        self._telling: asyncio.Task[None] | None = None

    def look(self, routers: Iterable[Router], now_s: float) -> float:
        """Count what is under way; every ``metrics_interval_s`` of a deployment its mean is told, if it differs.

        Gives the moment at which the next one is due that does not tell what is under way now.
        """
        next_s = inf
        for router in routers:
            scaling = router.scaling
            if scaling is None:
                self._take_back(router)
                continue
            account = self._account(router, now_s)
            account.area += router.ongoing * (now_s - account.looked_s)
            account.looked_s = now_s
            lasted_s = now_s - account.begun_s
            if lasted_s >= scaling.metrics_interval_s:
                self._tell(router, account.area / lasted_s, now_s)
            told = self._accounts[router].told
            if router.ongoing != (told.ongoing if told is not None else 0):
                next_s = min(next_s, self._accounts[router].begun_s + scaling.metrics_interval_s)
        return next_s

    def tell_now(self, router: Router) -> None:
        """A call has come to wait because there is no replica, or none does any more: that is told at once."""
        now_s = monotonic()
        self._account(router, now_s)
        self._tell(router, router.ongoing, now_s)

    async def close(self) -> None:
        """Take everything back."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait((self._telling,))

    def _account(self, router: Router, now_s: float) -> _Account:
        if router not in self._accounts:
            self._accounts[router] = _Account(now_s, now_s)
        return self._accounts[router]

    def _take_back(self, router: Router) -> None:
        """The deployment autoscales no longer: what was told of it is so no more."""
        account = self._accounts.pop(router, None)
        if account is not None and account.told is not None:
            self._changed.set()

    def _tell(self, router: Router, ongoing: float, now_s: float) -> None:
        account = self._accounts[router]
        demand = pb.Demand(
            application=router.application,
            deployment=router.name,
            ongoing=round(ongoing / SMALLEST) * SMALLEST,
            without_replica=router.without_replica,
        )
        is_news = demand != account.told and (account.told is not None or bool(router.ongoing or ongoing))
        self._accounts[router] = _Account(now_s, now_s, told=demand if is_news else account.told)
        if is_news:
            self._changed.set()
            if self._telling is None:
                self._telling = asyncio.get_running_loop().create_task(self._keep_telling(), name="demand")

    async def _keep_telling(self) -> None:
        while True:
            with suppress(MeshError):  # the controller is gone for a moment; the engine brings it back
                await self._send(self._reports())
            await asyncio.sleep(TELL_AGAIN_S)

    async def _reports(self) -> AsyncGenerator[pb.ReportDemandRequest, None]:
        while True:
            self._changed.clear()
            yield pb.ReportDemandRequest(demands=[one.told for one in self._accounts.values() if one.told is not None])
            await self._changed.wait()
