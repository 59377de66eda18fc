"""Waiting for something that is told on the loop that runs gRPC: on any loop, and in a thread without one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from mesh.connect import Connection
from mesh.context import turn
from mesh.loops import Crossing, crossing_to

When: TypeAlias = Callable[[Callable[[], object]], None]
"""Has a callback called when something is so: now, or on the loop that runs gRPC."""


def wait_on_loop(connection: Connection, when: When) -> asyncio.Future[None]:
    """A future of the running loop that is done when ``when`` says so."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    if loop is connection.loop:
        when(lambda: _set_done(future))
    else:
        crossing = crossing_to(loop)
        when(lambda: _put(crossing, future))
    return future


def wait_in_thread(connection: Connection, when: When, timeout_s: float | None = None) -> bool:
    """Block until ``when`` says so; False when it took too long. A job that waits gives its turn away meanwhile."""
    refuse_to_block(connection)
    told = threading.Event()
    when(told.set)
    on_turn = turn.get()
    if on_turn is None:
        return told.wait(timeout_s)
    with on_turn.given_away():
        return told.wait(timeout_s)


def refuse_to_block(connection: Connection) -> None:
    """Raise RuntimeError on the loop that runs gRPC: what is waited for would never come."""
    if asyncio._get_running_loop() is connection.loop:
        raise RuntimeError(
            "this would block the replica's event loop, and with it the call that is waited for: "
            "write `await ref`, or `async for` over a stream"
        )


def _put(crossing: Crossing, future: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the waiter's loop is closed: nobody is left to be told
        crossing.put(_set_done, future)


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
