"""Rounds of both sides in turn, the first of each not counted."""

from __future__ import annotations

from benchmarks.rounds import WARM_UP_S, Load, Plan, interleave


async def test_both_sides_are_warmed_up_and_then_take_turns() -> None:
    asked: list[tuple[str, float]] = []

    async def ours(for_s: float) -> Load:
        asked.append(("ours", for_s))
        return Load(10, {"calls/s": float(len(asked))}, cpu_s=0.001)

    async def baseline(for_s: float) -> Load:
        asked.append(("baseline", for_s))
        return Load(0, {"calls/s": float(len(asked))})

    rounds = await interleave(Plan(rounds=2, round_s=3.0), ours, baseline)
    assert asked == [
        ("ours", WARM_UP_S),
        ("baseline", WARM_UP_S),
        *[("ours", 3.0), ("baseline", 3.0)] * 2,
    ]
    assert [round_.mesh.figures["calls/s"] for round_ in rounds] == [3, 5]
    assert [round_.mesh.cpu_us for round_ in rounds] == [100, 100]
    assert [round_.baseline and round_.baseline.cpu_us for round_ in rounds] == [None, None]


async def test_side_without_baseline() -> None:
    async def ours(_: float) -> Load:
        return Load(1, {"s": 1.0})

    [round_] = await interleave(Plan(rounds=1), ours)
    assert round_.baseline is None
    assert round_.mesh.cpu_us is not None
