"""The process of the bridge: an HTTP server on sockets that the engine has bound, in front of :class:`Bridge`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import sys

from http_bridge.app import Bridge
from http_bridge.counts import Counts
from http_bridge.server import make_server
from mesh.connect import attach
from mesh.engine.child import Child
from mesh.loops import new_loop

COUNTS = "bridges.counts"
"""The file in the run directory by which several bridges share out new connections."""

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
        argument = json.loads(child.argument)
        bridge = Bridge(connection.router, debug_errors=argument["debug_errors"])
        server = make_server(bridge, _counts(child.run_directory, argument["number"], argument["bridges"]))
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


def _counts(run_directory: str, number: int, bridges: int) -> Counts | None:
    return Counts(f"{run_directory}/{COUNTS}", number, bridges) if bridges > 1 else None


if __name__ == "__main__":
    sys.exit("the bridge is started by the engine of a mesh; start one with mesh.run or `meshctl run module:node`")
