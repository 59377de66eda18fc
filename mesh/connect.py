"""The connection of this process to a mesh: one loop for all gRPC, one client of the controller, a router a deployment.

A replica and the bridge run everything on their own loop and call :func:`attach`. A script, a notebook or a test has
:func:`connection_to` put it on a loop in a thread. Which mesh a process means when nothing says otherwise is
:func:`default`.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import grpc.aio

from mesh.carrier import Carrier, GrpcStream, Passenger, UnixSocket
from mesh.client import ControllerClient
from mesh.context import surroundings
from mesh.engine import places
from mesh.errors import MeshUnavailable
from mesh.loops import LoopThread, crossing_to
from mesh.router.call import Call
from mesh.router.endpoints import Endpoint
from mesh.router.router import Carry, Router
from mesh.segments.copying import process_pool
from mesh.token import metadata

T = TypeVar("T")

SESSION_METHOD = "/mesh.v1.ReplicaService/Session"

TICK_S = 0.02
"""How often deadlines are looked at while calls are under way."""
IDLE_LOOK_S = 1.0
"""How often sessions without a call are looked at."""
IDLE_SESSION_S = 60.0
"""After this long without a call a session is closed."""

_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.ping_timeout_ms", 5000),  # what holds where both are; it would be a minute
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class Connection:
    """One process' end of a mesh. Made on the loop that is to run its gRPC; closed with :meth:`close`."""

    def __init__(
        self, run_directory: str, client: ControllerClient, carry: Carry, thread: LoopThread | None = None
    ) -> None:
        process_pool()  # what is wrong with its bound is said here, not in the middle of a call
        self.run_directory = run_directory
        self.loop = asyncio.get_running_loop()
        self.loop_thread = thread
        """The thread of the loop; None when the loop is the program's own."""
        self.client = client
        self.is_closed = False
        self._carry = carry
        self._thread_id = threading.get_ident()
        self._crossing = crossing_to(self.loop)
        self._routers: dict[tuple[str, str], Router] = {}
        self._lock = threading.Lock()
        self._watches: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._busy: set[Router] = set()  # with calls under way
        self._is_ticking = False  # the timer is the short one
        self._next_idle_look_s = 0.0
        self._closing: asyncio.Task[None] | None = None

    def router(self, application: str, deployment: str) -> Router:
        """The router of a deployment, from any thread; it watches the endpoint set from now on."""
        key = (application, deployment)
        router = self._routers.get(key)
        if router is None:
            with self._lock:
                router = self._routers.get(key)
                if router is None:
                    router = Router(application, deployment, self._carry, self._keep_time)
                    self._routers[key] = router
                    self.on_loop(self._start_watch, router)
        return router

    def submit(self, call: Call) -> None:
        """Put a call on its way, from any thread."""
        if threading.get_ident() == self._thread_id:
            call.router.submit(call)
        else:
            self._crossing.put(call.router.submit, call)

    def on_loop(self, function: Callable[[T], object], argument: T) -> None:
        """Have ``function(argument)`` called on the loop that runs gRPC: at once from there, soon from elsewhere."""
        if threading.get_ident() == self._thread_id:
            function(argument)
        else:
            self._crossing.put(function, argument)

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run a coroutine on the loop and wait for it, from another thread."""
        if self.loop_thread is None:
            coroutine.close()
            raise RuntimeError("this waits for the loop that it runs on: use the awaitable form")
        return self.loop_thread.run(coroutine, timeout_s)

    def _keep_time(self, router: Router) -> None:
        """A call of that router is under way: deadlines have to be looked at soon."""
        self._busy.add(router)
        if not self._is_ticking:
            self._is_ticking = True
            self._set_timer(TICK_S)

    def _set_timer(self, after_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(after_s, self._tick)

    def _tick(self) -> None:
        now_s = monotonic()
        for router in list(self._busy):
            if not router.tick(now_s):
                self._busy.discard(router)
        if now_s >= self._next_idle_look_s:
            self._next_idle_look_s = now_s + IDLE_LOOK_S
            if not self._is_there():
                self._closing = self.loop.create_task(self.close())  # what waits would wait in vain
                return
            for router in list(self._routers.values()):
                router.close_idle(now_s, IDLE_SESSION_S)
        self._is_ticking = bool(self._busy)
        self._set_timer(TICK_S if self._is_ticking else IDLE_LOOK_S)

    def _is_there(self) -> bool:
        """The mesh has not ended. Where the loop is the program's own, the program ends with it."""
        return self.loop_thread is None or places.is_alive(self.run_directory)

    def _start_watch(self, router: Router) -> None:
        watch = self.loop.create_task(self._watch(router), name=f"watch {router.application}/{router.name}")
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    async def _watch(self, router: Router) -> None:
        async for endpoint_set in self.client.watch_endpoints(router.application, router.name):
            router.apply(endpoint_set)

    async def close(self) -> None:
        """End all calls, sessions and watches; on the loop."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for watch in list(self._watches):
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for router in self._routers.values():
            router.close()
        await self.client.close()


def carrier_to(token: str, endpoint: Endpoint, passenger: Passenger) -> Carrier:
    """A carrier to a replica: its unix socket where it has one on this host, gRPC everywhere else."""
    if endpoint.socket_path:
        return UnixSocket.connecting(endpoint.socket_path, token, passenger)
    return carry_by_grpc(endpoint.address, token, passenger)


def carry_by_grpc(address: str, token: str, passenger: Passenger) -> Carrier:
    """A session over gRPC to a replica at ``address``; on the loop that runs gRPC."""
    channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    stream = channel.stream_stream(SESSION_METHOD)(metadata=metadata(token))  # type: ignore[call-arg]

    def end() -> None:
        stream.cancel()
        asyncio.get_running_loop().create_task(channel.close(None))

    return GrpcStream(stream, passenger, ready=channel.channel_ready, end=end)


async def attach(run_directory: str, token: str) -> Connection:
    """A connection on the running loop, which is to run all gRPC of this process."""
    connection = _connected(run_directory, token, None)
    use(connection)
    return connection


def connection_to(run_directory: str) -> Connection:
    """The connection of this process to the mesh in ``run_directory``, made on a loop in a thread where there is none.

    Raises :class:`mesh.errors.MeshUnavailable` when no mesh is there, or when it belongs to somebody else.
    """
    with _lock:
        connection = _connections.get(run_directory)
        if connection is not None and not connection.is_closed:
            return connection
        if not places.is_alive(run_directory):
            raise MeshUnavailable(f"the mesh in {run_directory} has ended; run the graph again to get a handle to it")
        token = _read_token(run_directory)
        thread = LoopThread()
        connection = thread.run(_made_on_loop(run_directory, token, thread))
        _connections[run_directory] = connection
        return connection


async def _made_on_loop(run_directory: str, token: str, thread: LoopThread) -> Connection:
    return _connected(run_directory, token, thread)


def _connected(run_directory: str, token: str, thread: LoopThread | None) -> Connection:
    return Connection(run_directory, ControllerClient(run_directory, token), partial(carrier_to, token), thread)


def _read_token(run_directory: str) -> str:
    try:
        return places.read_token(run_directory)
    except OSError as error:
        raise MeshUnavailable(
            f"there is no mesh in {run_directory} that this process may use ({error.strerror}); "
            "its owner has ended, or it is another user's"
        ) from error


def use(connection: Connection | None) -> None:
    """Make a connection the one that handles without a mesh of their own mean; None forgets it."""
    global _default
    with _lock:
        _default = connection
        if connection is not None:
            _connections[connection.run_directory] = connection


def default() -> Connection | None:
    """The connection that :func:`use` named last and that is not closed; in a local replica, its own mesh."""
    around = surroundings()
    if around is not None and isinstance(around.connection, Connection):
        return around.connection
    return _default if _default is not None and not _default.is_closed else None


def disconnect(connection: Connection) -> None:
    """Close a connection that :func:`connection_to` made, from another thread."""
    with _lock:
        _connections.pop(connection.run_directory, None)
    if connection.loop_thread is not None:
        connection.run(connection.close(), 5)
        connection.loop_thread.stop()


def disconnect_from(run_directory: str) -> None:
    """Close the connection to a mesh, if this process has one."""
    connection = _connections.get(run_directory)
    if connection is not None:
        disconnect(connection)


_lock = threading.RLock()
_connections: dict[str, Connection] = {}
_default: Connection | None = None


def _forget_in_fork() -> None:
    """gRPC does not survive a fork: a child of the user's making has no connection, and says so when it calls."""
    global _forked
    _forked = bool(_connections)
    for connection in _connections.values():
        connection.is_closed = True  # handles know it, too
    _connections.clear()
    use(None)


_forked = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_fork)


def was_forked() -> bool:
    """This process was forked from one that was connected."""
    return _forked


@atexit.register
def _close_all() -> None:
    for connection in list(_connections.values()):
        if connection.loop_thread is not None:
            with suppress(Exception):  # the process ends; what cannot be closed now ends with it
                disconnect(connection)
