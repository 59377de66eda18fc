"""Large buffers on their way out of the user's memory."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading

import pytest

from mesh.segments import copying
from mesh.segments.buffer import InMemory
from mesh.segments.copying import Stopped, keep, keep_aside, process_pool
from mesh.segments.pool import Lease, Pool

CONTENT = bytes(range(256)) * 20_000


def _lent_bytes() -> int:
    total, free = process_pool().sizes()
    return total - free


def test_a_copy_stays_as_it_was() -> None:
    memory = bytearray(CONTENT)
    (kept,) = keep([memoryview(memory)])
    memory[:] = bytes(len(memory))
    assert isinstance(kept, Lease)
    assert kept.read(0, len(CONTENT)) == CONTENT


def test_without_room_in_the_pool_the_copy_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    process_pool().trim(float("inf"))
    monkeypatch.setattr(process_pool(), "limit_bytes", 0)
    memory = bytearray(CONTENT)
    (kept,) = keep([memoryview(memory)])
    memory[:] = bytes(len(memory))
    assert isinstance(kept, InMemory)
    assert (kept.offer(), kept.size_bytes) == (None, len(CONTENT))
    assert kept.read(3, 300) == CONTENT[3:300]
    written = kept.view()
    written[:3] = b"new"
    assert kept.read(0, 3) == CONTENT[:3]


async def test_a_coroutine_has_another_thread_copy() -> None:
    threads: list[int] = []

    def look() -> bool:
        threads.append(threading.get_ident())
        return False

    (kept,) = await keep_aside([memoryview(CONTENT)], look)
    assert kept.read(0, 10) == CONTENT[:10]
    assert threads
    assert threading.get_ident() not in threads


async def test_a_copy_that_nobody_wants_stops_and_gives_its_segment_back() -> None:
    asked = 0

    def second_time() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    gc.disable()  # it must not take the garbage collector
    try:
        with pytest.raises(Stopped):
            await keep_aside([memoryview(CONTENT)], second_time)
        await keep_aside([memoryview(b"small")])  # now the thread is done with the first one
        assert _lent_bytes() < len(CONTENT)
    finally:
        gc.enable()


def test_for_a_copy_that_nobody_wants_no_segment_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(2 * len(CONTENT))
    monkeypatch.setattr(copying, "process_pool", lambda: pool)
    with pytest.raises(Stopped):
        keep([memoryview(CONTENT)], lambda: True)
    assert pool.sizes() == (0, 0)


async def test_a_cancelled_waiter_stops_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    copies: list[int] = []

    def copy(buffer: memoryview, *_: object) -> InMemory:
        copies.append(buffer.nbytes)
        begun.set()
        go_on.wait(10)
        return InMemory(b"")

    def copy_unless_stopped(buffer: memoryview, pool: object, stop: copying.Stop) -> InMemory:
        if stop():
            raise Stopped
        return copy(buffer)

    monkeypatch.setattr(copying, "_copy", copy_unless_stopped)
    first = asyncio.ensure_future(keep_aside([memoryview(b"1")]))
    await asyncio.to_thread(begun.wait, 10)
    second = asyncio.ensure_future(keep_aside([memoryview(b"22")]))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    await first
    await keep_aside([memoryview(b"333")])
    assert copies == [1, 3]


@pytest.mark.parametrize("limit", ["", "1GB", "-1", "1.5"])
def test_a_bound_that_is_no_number_of_bytes_is_named(limit: str) -> None:
    script = "from mesh.segments.copying import process_pool; process_pool()"
    environment = {**os.environ, "MESH_SEGMENT_BYTES": limit}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert f"ConfigError: MESH_SEGMENT_BYTES={limit!r} must be a number of bytes, 0 or more" in ended.stderr
