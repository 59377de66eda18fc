"""What the controller knows of the machine below it: launch, kill, list, and an exit for every end."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from mesh.engine.messages import Unpacker, pack
from mesh.errors import MeshError
from mesh.v1 import engine_pb2 as pb

OnExit = Callable[[str, int, int], None]
"""Called with process_id, pid and status: the exit code, or minus the signal that ended the process."""


class LaunchFailed(MeshError):
    """A process could not be started; the message says why."""


class Launcher(Protocol):
    """Starts and ends the processes of replicas. Every process that was launched has its exit reported once.

    An implementation is made with the callback for exits; it is called on the loop.
    """

    async def launch(self, request: pb.Launch) -> int:
        """Starts a process; returns its pid. Raises :class:`LaunchFailed`."""
        ...

    async def kill(self, process_id: str) -> None:
        """Ends a process and its group at once; one that is gone already is no error. The exit comes later."""
        ...

    async def list(self) -> dict[str, int]:
        """The processes that run: process_id -> pid."""
        ...


class EngineLauncher:
    """The :class:`Launcher` of one machine, over the socket to its engine. Used as ``async with``."""

    def __init__(self, engine_socket: socket.socket, on_exit: OnExit) -> None:
        self._socket = engine_socket
        self._on_exit = on_exit
        self._launches: dict[str, asyncio.Future[int]] = {}
        self._lists: deque[asyncio.Future[dict[str, int]]] = deque()
        self._ended = False

    async def __aenter__(self) -> EngineLauncher:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        self._task = asyncio.create_task(self._read(), name="engine-launcher")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()

    async def launch(self, request: pb.Launch) -> int:
        """Starts a process; returns its pid. Raises :class:`LaunchFailed`."""
        if request.process_id in self._launches:
            raise LaunchFailed(f"{request.process_id} is being launched already")
        launched: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._launches[request.process_id] = launched
        try:
            self._send(pb.EngineRequest(launch=request))
            return await launched
        finally:
            del self._launches[request.process_id]

    async def kill(self, process_id: str) -> None:
        """Ends a process and its group at once; one that is gone already is no error."""
        self._send(pb.EngineRequest(kill=pb.Kill(process_id=process_id)))

    async def list(self) -> dict[str, int]:
        """The replicas that run: process_id -> pid."""
        listed: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._send(pb.EngineRequest(list=pb.List()))
        self._lists.append(listed)
        return await listed

    def _send(self, request: pb.EngineRequest) -> None:
        if self._ended:
            raise LaunchFailed("the engine has ended")
        self._writer.write(pack(request.SerializeToString()))

    async def _read(self) -> None:
        unpacker = Unpacker()
        try:
            while piece := await self._reader.read(65536):
                for message in unpacker.feed(piece):
                    self._on_event(pb.EngineEvent.FromString(message))
        except OSError:
            pass  # as good as its end
        finally:
            self._ended = True
            _fail(self._launches.values())
            _fail(self._lists)

    def _on_event(self, event: pb.EngineEvent) -> None:
        match event.WhichOneof("event"):
            case "launched":
                self._on_launched(event.launched)
            case "exit":
                self._on_exit(event.exit.process_id, event.exit.pid, event.exit.status)
            case "listed":
                listed = self._lists.popleft()
                if not listed.done():
                    listed.set_result({process.process_id: process.pid for process in event.listed.processes})

    def _on_launched(self, launched: pb.Launched) -> None:
        waiting = self._launches.get(launched.process_id)
        if waiting is None or waiting.done():
            return
        if launched.error:
            waiting.set_exception(LaunchFailed(launched.error))
        else:
            waiting.set_result(launched.pid)


def _fail(waiting: Iterable[asyncio.Future[Any]]) -> None:
    for answer in waiting:
        if not answer.done():
            answer.set_exception(LaunchFailed("the engine has ended"))
