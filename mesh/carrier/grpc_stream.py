"""Batches as messages of a bidirectional gRPC stream, at the caller's end and at the replica's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import grpc.aio

from mesh.carrier.carrier import Passenger

_BROKEN = (grpc.aio.AioRpcError, asyncio.InvalidStateError)


class Stream(Protocol):
    """What a client's call and a servicer's context have in common; without serializers gRPC carries bytes."""

    async def read(self) -> object: ...

    async def write(self, message: bytes, /) -> None: ...


class GrpcStream:
    """Carries over ``stream``. Nothing is taken before ``ready()`` is done; ``end`` ends the stream from this side."""

    is_local = False

    def __init__(
        self,
        stream: Stream,
        passenger: Passenger,
        *,
        ready: Callable[[], Awaitable[object]] | None = None,
        end: Callable[[], object] = lambda: None,
    ) -> None:
        self._stream = stream
        self._passenger = passenger
        self._ready = ready
        self._end = end
        self._is_lost = False
        self._waiting: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._tasks = (self._loop.create_task(self._write()), self._loop.create_task(self._read()))

    def wake(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def close(self) -> None:
        self._lose(None)

    async def wait_lost(self) -> None:
        """Return when nothing is carried any more."""
        await asyncio.wait(self._tasks)

    async def _write(self) -> None:
        take, write = self._passenger.take, self._stream.write
        try:
            if self._ready is not None:
                # A stream also takes messages while it has no connection; they would count as sent.
                await self._ready()
            while True:
                batch = take()
                if batch is None:
                    self._waiting = self._loop.create_future()
                    await self._waiting
                    self._waiting = None
                else:
                    await write(batch)
        except _BROKEN as error:
            self._lose(error)
        finally:
            self._lose(None)

    async def _read(self) -> None:
        read, arrived, end = self._stream.read, self._passenger.arrived, grpc.aio.EOF  # type: ignore[attr-defined]
        try:
            while (batch := await read()) is not end:
                arrived(batch)  # type: ignore[arg-type]
        except _BROKEN as error:
            self._lose(error)
        finally:
            self._lose(None)

    def _lose(self, error: BaseException | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._end()
        self._passenger.lost(error)
