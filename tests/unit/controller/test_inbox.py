from __future__ import annotations

import asyncio
from math import inf

import pytest

from mesh.clock import SystemClock
from mesh.controller.inbox import Inbox


async def taking(inbox: Inbox[int], until_s: float) -> asyncio.Task[list[int]]:
    """Somebody who waits for the next entries."""
    task = asyncio.create_task(inbox.next(SystemClock(), until_s))
    await asyncio.sleep(0)
    return task


async def test_all_that_was_posted_is_taken_in_order() -> None:
    inbox: Inbox[int] = Inbox()
    task = await taking(inbox, inf)
    inbox.post(1)
    inbox.post(2)
    assert await task == [1, 2]


async def test_nothing_is_taken_when_the_time_has_come() -> None:
    assert await Inbox[int]().next(SystemClock(), SystemClock().now_s() - 1) == []


@pytest.mark.parametrize("until_s", [inf, 1e12], ids=["without an end", "with an end"])
@pytest.mark.parametrize("ticks", range(4), ids="{} ticks after the entry".format)
async def test_a_cancellation_about_the_time_of_an_entry_is_not_forgotten(ticks: int, until_s: float) -> None:
    inbox: Inbox[int] = Inbox()
    task = await taking(inbox, until_s)
    inbox.post(1)
    for _ in range(ticks):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert await task == [1]
