"""Situations of clients that wait, some of them long."""

from __future__ import annotations

import asyncio

import pytest

from http_bridge import long_waits
from http_bridge.long_waits import LongWaits


class Waiter:
    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.times = 0

    def listen(self) -> None:
        self.times += 1
        self.heard.set()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> LongWaits:
    monkeypatch.setattr(long_waits, "LISTEN_AFTER_S", 0.001)
    return LongWaits()


async def test_who_waits_long_is_listened_to_once(waits: LongWaits) -> None:
    first, second = Waiter(), Waiter()
    waits.add(first)
    async with asyncio.timeout(5):
        await first.heard.wait()
        waits.add(second)
        await second.heard.wait()
    assert (first.times, second.times) == (1, 1)


async def test_who_waits_no_more_is_left_alone(waits: LongWaits) -> None:
    gone, stays = Waiter(), Waiter()
    waits.add(gone)
    waits.add(stays)
    waits.discard(gone)
    async with asyncio.timeout(5):
        await stays.heard.wait()
    assert gone.times == 0


async def test_nobody_is_listened_to_before_a_whole_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda _, tick: ticks.append(tick))
    waits, early, late = LongWaits(), Waiter(), Waiter()
    waits.add(early)
    ticks.pop()()
    waits.add(late)
    assert (early.times, late.times) == (0, 0)
    ticks.pop()()
    assert (early.times, late.times) == (1, 0)
    waits.discard(late)
    ticks.pop()()
    assert (ticks, late.times) == ([], 0)
