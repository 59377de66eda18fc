"""Large buffers on their way out of the user's memory: into segments where possible, else into memory of our own.

Outside of coroutines the caller's thread copies, so the call has what the user had when it was made. In a coroutine a
thread of its own does, so the loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from time import monotonic

from mesh.errors import ConfigError
from mesh.loops import crossing_to
from mesh.segments.buffer import Buffer, InMemory
from mesh.segments.pool import UNUSED_S, Pool

LIMIT_BYTES = 1024 * 1024 * 1024
"""The most that the segments of a process take together, where the environment says nothing else."""
LIMIT_VARIABLE = "MESH_SEGMENT_BYTES"
"""The variable of the environment that says something else; 0 = send everything in frames."""

_SLICE_BYTES = 4 * 1024 * 1024
_SLICE_IN_MEMORY_BYTES = 256 * 1024  # copying into our own memory holds the interpreter

Stop = Callable[[], bool]
"""Whether nobody wants the copy any more."""


class Stopped(Exception):
    """Nobody wants the copy any more."""


def keep(buffers: Sequence[memoryview], stop: Stop = lambda: False) -> tuple[Buffer, ...]:
    """Copies of ``buffers`` that stay as they are. Raises :class:`Stopped` as soon as ``stop()`` says so."""
    pool = process_pool()
    _keeper().put(None)  # it looks from now on for what is unused
    return tuple(_copy(buffer, pool, stop) for buffer in buffers)


async def keep_aside(buffers: Sequence[memoryview], stop: Stop = lambda: False) -> tuple[Buffer, ...]:
    """As :func:`keep`, in another thread: until it is done the user's memory must not change."""
    kept = await _copied(buffers, stop)
    if not isinstance(kept, BaseException):
        return kept
    try:
        raise kept
    finally:
        del kept  # else error and frame refer to each other, and the user's memory waits for a collector


def _copied(buffers: Sequence[memoryview], stop: Stop) -> asyncio.Future[_Kept]:
    """What the other thread makes of them, an error included; whoever waits keeps no reference to this future."""
    future: asyncio.Future[_Kept] = asyncio.get_running_loop().create_future()
    _keeper().put((buffers, future, lambda: future.cancelled() or stop()))
    return future


def process_pool() -> Pool:
    """The segments of this process. Raises :class:`mesh.errors.ConfigError` for a wrong bound in the environment."""
    return _pool(os.getpid())


@cache
def _pool(_: int) -> Pool:
    limit = os.environ.get(LIMIT_VARIABLE, str(LIMIT_BYTES))
    if not (limit.isascii() and limit.isdecimal()):
        raise ConfigError(f"{LIMIT_VARIABLE}={limit!r} must be a number of bytes, 0 or more")
    return Pool(int(limit))


def _copy(buffer: memoryview, pool: Pool, stop: Stop) -> Buffer:
    size_bytes = buffer.nbytes
    if stop():
        raise Stopped
    lease = pool.lend(size_bytes)
    if lease is not None:
        for begin in range(0, size_bytes, _SLICE_BYTES):
            if stop():
                raise Stopped
            lease.write(begin, buffer[begin : begin + _SLICE_BYTES])
        return lease
    content = bytearray(size_bytes)
    for begin in range(0, size_bytes, _SLICE_IN_MEMORY_BYTES):
        if stop():
            raise Stopped
        end = min(begin + _SLICE_IN_MEMORY_BYTES, size_bytes)
        content[begin:end] = buffer[begin:end]
    return InMemory(content)


_Kept = tuple[Buffer, ...] | BaseException
_Job = tuple[Sequence[memoryview], asyncio.Future[_Kept], Stop]


def _keeper() -> SimpleQueue[_Job | None]:
    return _keepers(os.getpid())


@cache
def _keepers(_: int) -> SimpleQueue[_Job | None]:
    """The queue of the thread that copies for coroutines, and gives back what is unused."""
    jobs: SimpleQueue[_Job | None] = SimpleQueue()
    threading.Thread(target=_run, args=(jobs,), name="mesh-segments", daemon=True).start()
    return jobs


def _run(jobs: SimpleQueue[_Job | None]) -> None:
    pool = process_pool()
    while True:
        try:
            # Without segments there is nothing to look for, and no reason to wake up.
            job = jobs.get(timeout=UNUSED_S / 4 if pool.trim(monotonic()) else None)
        except Empty:
            continue
        if job is not None:
            _do(*job)
            del job  # it would keep the user's memory until the next one comes


def _do(buffers: Sequence[memoryview], future: asyncio.Future[_Kept], stop: Stop) -> None:
    try:
        kept: _Kept = keep(buffers, stop)
    except BaseException as error:
        kept = error.with_traceback(None)  # its frames, and with them a half-filled segment, would live as long as it
    with suppress(RuntimeError):  # the loop is closed: nobody is left to be told
        crossing_to(future.get_loop()).put(_settle, (future, kept))


def _settle(outcome: tuple[asyncio.Future[_Kept], _Kept]) -> None:
    future, kept = outcome
    if not future.done():
        future.set_result(kept)
