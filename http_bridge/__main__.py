"""The process of the bridge: an HTTP server on sockets that the engine has bound, in front of :class:`Bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import sys
from collections.abc import Generator
from time import monotonic

import uvicorn

from http_bridge.app import Bridge
from http_bridge.joined_writes import HttpProtocol
from http_bridge.slow_clients import SlowClients
from mesh.connect import attach
from mesh.engine.child import Child
from mesh.loops import new_loop

DRAIN_S = 20
"""Seconds that requests which have begun may take after SIGTERM."""

KEEP_ALIVE_S = 65
"""Longer than the usual 60 s of clients and proxies, so that they close idle connections and never race with us."""

YOUNG_OBJECTS = 20_000
"""How many objects are made before the collector looks at them: a request leaves no rings, and is over by then."""


def main(child: Child) -> int:
    """Serve HTTP on ``child.listeners`` until SIGTERM; then end what was begun. Gives the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_serve(child))


async def _serve(child: Child) -> int:
    connection = await attach(child.run_directory, child.token)
    try:
        bridge = Bridge(connection.router, debug_errors=_debug_errors(child.argument))
        server = make_server(bridge)
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        following = asyncio.create_task(bridge.follow(connection.client.watch_routes()))
        following.add_done_callback(lambda _: server.stop())
        try:
            await server.serve(list(child.listeners))
        finally:
            # It ends by itself only when it fails: then the engine starts the bridge again.
            failed = following.done()
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        return int(failed)
    finally:
        await connection.close()


def make_server(bridge: Bridge) -> Server:
    """The HTTP server for ``bridge``, with what an open port needs and nothing that logs each request."""
    config = uvicorn.Config(
        bridge,
        http=HttpProtocol,
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.ERROR)
    # uvicorn takes a handshake that was answered with an HTTP response for one that was forgotten.
    log.addFilter(lambda record: "without completing handshake" not in record.getMessage())
    return Server(config)


class Server(uvicorn.Server):
    """uvicorn, told by :meth:`stop` to end: its own signal handlers would end the process by the signal."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.slow_clients = SlowClients()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the process's signals alone."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            self.slow_clients.look(self.server_state.connections, monotonic())
        return await super().on_tick(counter)

    def stop(self) -> None:
        """Take nothing new, end what was begun, and let ``serve`` return."""
        self.should_exit = True


def _debug_errors(argument: bytes) -> bool:
    return bool(json.loads(argument).get("debug_errors", True)) if argument else True


if __name__ == "__main__":
    sys.exit("the bridge is started by the engine of a mesh; start one with mesh.run or `meshctl run module:node`")
