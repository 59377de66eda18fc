"""A deployment whose calls take as long as they are told, and callers that put open-loop load on it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

import mesh
from mesh.errors import RequestRejected


@mesh.deployment(max_ongoing_requests=5)
class Paced:
    """Takes ``service_s`` for a call; the replica of rank 0 forty times as long while the file ``slow`` exists."""

    def __init__(self, service_s: float, slow: Path) -> None:
        context = mesh.get_replica_context()
        self._id, self._rank = context.replica_id, context.rank
        self._service_s = service_s
        self._slow = slow

    async def work(self) -> str:
        """Which replica it was: its rank and id."""
        is_slow = self._rank == 0 and self._slow.exists()
        await asyncio.sleep(self._service_s * (40 if is_slow else 1))
        return f"{self._rank} {self._id}"


@dataclass
class Seen:
    """What became of the calls of a load."""

    times_s: list[float] = field(default_factory=list)
    """Of those that were answered, from the moment at which each was due."""
    ranks: Counter[str] = field(default_factory=Counter)
    """By which replica they were answered."""
    rejected: int = 0

    @property
    def made(self) -> int:
        """All calls."""
        return len(self.times_s) + self.rejected

    def p99_ms(self) -> float:
        """Of those that were answered."""
        return sorted(self.times_s)[int(0.99 * len(self.times_s))] * 1000

    def share_of(self, rank: int) -> float:
        """Of one replica, of what was answered."""
        return sum(n for key, n in self.ranks.items() if key.startswith(f"{rank} ")) / max(1, len(self.times_s))

    @classmethod
    def together(cls, all_seen: list[Seen]) -> Seen:
        """Of several callers."""
        whole = cls()
        for seen in all_seen:
            whole.times_s += seen.times_s
            whole.ranks.update(seen.ranks)
            whole.rejected += seen.rejected
        return whole


@mesh.deployment(max_ongoing_requests=10, request_timeout_s=None)
class Calling:
    """A process that calls: each replica has a router of its own, which sees its own calls and the reports."""

    def __init__(self, *callees: mesh.DeploymentHandle) -> None:
        self._callees = callees

    async def load(self, callee: int, rate: float, seconds: float) -> Seen:
        """``rate`` calls a second as a Poisson process, whatever becomes of those before."""
        seen, random = Seen(), Random()
        due_s, end_s = monotonic(), monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            while (due_s := due_s + random.expovariate(rate)) < end_s:
                if due_s > monotonic():
                    await asyncio.sleep(due_s - monotonic())
                tasks.create_task(self._call(self._callees[callee], due_s, seen))
        return seen

    async def _call(self, callee: mesh.DeploymentHandle, due_s: float, seen: Seen) -> None:
        try:
            rank = await callee.work()
        except RequestRejected:
            seen.rejected += 1
        else:
            seen.times_s.append(monotonic() - due_s)
            seen.ranks[rank] += 1


async def loaded(caller: mesh.DeploymentHandle, callers: int, callee: int, rate: float, seconds: float) -> Seen:
    """``rate`` calls a second from so many replicas of a caller at the same time."""
    each = [caller.load(callee, rate / callers, seconds) for _ in range(callers)]
    return Seen.together(list(await asyncio.gather(*each)))
