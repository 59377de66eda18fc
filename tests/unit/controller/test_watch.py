"""Who watches sees the present value first, then the latest after each change, and nothing twice."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from mesh.controller.watch import Watch

T = TypeVar("T")


def watch() -> Watch[str, str]:
    return Watch(lambda known, key: f"no {key} among {sorted(known)}")


async def soon(waiting: asyncio.Future[T]) -> T:
    """What is waited for; an error instead of a test that hangs."""
    return await asyncio.wait_for(waiting, 5)


async def test_the_present_value_comes_first_and_later_ones_as_they_come() -> None:
    values = watch()
    values.publish({"a": "1"})
    seen = values.subscribe("a")
    assert await anext(seen) == "1"
    waiting = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0)
    values.publish({"a": "2"})
    assert await soon(waiting) == "2"


async def test_a_slow_watcher_gets_the_latest_only() -> None:
    values = watch()
    values.publish({"a": "1"})
    seen = values.subscribe("a")
    await anext(seen)
    for value in "234":
        values.publish({"a": value})
    assert await anext(seen) == "4"


async def test_a_change_of_another_key_is_not_seen() -> None:
    values = watch()
    values.publish({"a": "1", "b": "1"})
    seen = values.subscribe("a")
    await anext(seen)
    waiting = asyncio.ensure_future(anext(seen))
    await asyncio.sleep(0)
    values.publish({"a": "1", "b": "2"})
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    values.publish({"b": "2"})
    assert await soon(waiting) == "no a among ['b']"


async def test_watchers_do_not_hinder_each_other() -> None:
    values = watch()
    watchers = [values.subscribe("a") for _ in range(3)]
    assert [await anext(seen) for seen in watchers] == ["no a among []"] * 3
    waiting = [asyncio.ensure_future(anext(seen)) for seen in watchers]
    await asyncio.sleep(0)
    values.publish({"a": "1"})
    assert await soon(asyncio.gather(*waiting)) == ["1"] * 3
