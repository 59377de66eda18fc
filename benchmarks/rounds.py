"""Rounds of mesh and its baseline in turn, with the CPU time of all processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.cpu import count_cpu
from benchmarks.row import Measured, Round

WARM_UP_S = 0.2


class Load(NamedTuple):
    """What one side did in one round."""

    requests: int
    """What the CPU time is divided by; 0 when that would say nothing."""
    figures: Mapping[str, float]
    cpu_s: float | None = None
    """Where the processes of the round are gone when it returns: what they took."""


Side = Callable[[float], Awaitable[Load]]
"""Puts load on mesh, or on its baseline, for so many seconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure: ``rounds`` of each side, ``round_s`` seconds each; ``full`` has every combination."""

    rounds: int = 5
    round_s: float = 1.0
    is_full: bool = False
    is_quick: bool = False


async def interleave(
    plan: Plan, ours: Side, baseline: Side | None = None, round_s: float | None = None
) -> tuple[Round, ...]:
    """``plan.rounds`` rounds of each in turn, after a short one of each that is not counted."""
    for_s = plan.round_s if round_s is None else round_s
    await ours(WARM_UP_S)
    if baseline is not None:
        await baseline(WARM_UP_S)
    rounds = []
    for _ in range(plan.rounds):
        mine = await measured(ours, for_s)
        rounds.append(Round(mine, None if baseline is None else await measured(baseline, for_s)))
    return tuple(rounds)


async def measured(side: Side, for_s: float) -> Measured:
    """One round of one side. The CPU time is that of this process and all below it, the other side's idle ones too."""
    elapsed_s = count_cpu()
    load = await side(for_s)
    cpu_s = elapsed_s() if load.cpu_s is None else load.cpu_s
    return Measured(load.figures, cpu_s / load.requests * 1e6 if load.requests else None)
