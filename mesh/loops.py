"""Crossing between event loops and threads: one deque and one wake-up per tick each way.

All gRPC of a process runs on one loop. In a replica and in the bridge that is the loop of the program; in a script or a
notebook it is a loop in a thread of its own, because the loop of the user, if there is one, is not ours to hold.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, ref

T = TypeVar("T")


class Crossing:
    """The way onto one loop from anywhere else. What is put in the same tick crosses with one wake-up."""

    __slots__ = ("_items", "_loop", "_scheduled")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)  # the table of crossings must not keep the loops of ended asyncio.run calls
        self._items: deque[tuple[Callable[..., object], Any]] = deque()
        self._scheduled = False

    def put(self, function: Callable[[Any], object], argument: Any) -> None:
        """Have ``function(argument)`` called on the loop. Raises RuntimeError when the loop is closed."""
        self._items.append((function, argument))
        if not self._scheduled:
            self._scheduled = True
            try:
                self._wake_loop()
            except RuntimeError:
                self._scheduled = False
                self._items.clear()
                raise

    def _wake_loop(self) -> None:
        loop = self._loop()
        if loop is None:
            raise RuntimeError("the event loop is gone")
        loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        # The flag falls before the deque is read: what is appended from now on is either read below or schedules anew.
        self._scheduled = False
        items = self._items
        for _ in range(len(items)):
            function, argument = items.popleft()
            try:
                function(argument)
            except Exception as error:  # the others of this tick must not be lost with it
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"{function!r} failed on its way between loops", "exception": error}
                )


_crossings: WeakKeyDictionary[asyncio.AbstractEventLoop, Crossing] = WeakKeyDictionary()


def crossing_to(loop: asyncio.AbstractEventLoop) -> Crossing:
    """The one crossing onto ``loop``."""
    crossing = _crossings.get(loop)
    if crossing is None:
        crossing = _crossings.setdefault(loop, Crossing(loop))
    return crossing


def settle(end: tuple[asyncio.Future[Any], Any, BaseException | None]) -> None:
    """Give a future of this loop its result or its exception, unless it has ended; for :meth:`Crossing.put`."""
    future, result, error = end
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):  # no future takes it
        future.set_exception(RuntimeError(f"the user's code raised {error!r}"))
    else:
        future.set_exception(error)


@asynccontextmanager
async def going_on(coroutine: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """While inside, the coroutine runs beside, in a task of that name; then it is cancelled and waited for."""
    task = asyncio.create_task(coroutine, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop as every process of the mesh runs it: uvloop's where it is installed, asyncio's elsewhere."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class LoopThread:
    """A loop in a daemon thread of its own, for processes whose main thread belongs to the user."""

    def __init__(self) -> None:
        self.loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="mesh-io", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop; its result as a future for threads."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine on the loop and wait for its result; not from the loop itself."""
        future = self.start(coroutine)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop and wait for its thread."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)
