"""The process of the door: a gRPC server on a port of its own, with :class:`Door`, health and reflection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import AsyncIterable
from typing import Final

import grpc.aio
from grpc_health.v1 import health as health_module
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mesh.connect import attach
from mesh.door.applications import Applications
from mesh.door.health import Health
from mesh.door.service import PREDICT_SERVICE, Door, handler
from mesh.engine.child import PORT_TAKEN, Child
from mesh.loops import new_loop
from mesh.v1.controller_pb2 import Status

DRAIN_S = 20
"""Seconds that requests which have begun may take after SIGTERM; the engine may have less patience."""

LARGEST_MESSAGE_BYTES: Final = 128 * 1024 * 1024
"""What gRPC refuses before it is read; the deployment's ``max_body_bytes`` holds below it."""


def main(child: Child) -> int:
    """Serve gRPC at the host and port of ``child.argument`` until SIGTERM; then end what was begun. The exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_serve(child))


async def _serve(child: Child) -> int:
    order = json.loads(child.argument)
    connection = await attach(child.run_directory, child.token)
    try:
        applications = Applications(connection.client.status)
        health = Health(PREDICT_SERVICE)
        server = make_server(Door(applications, connection.router, debug_errors=order["debug_errors"]), health)
        try:
            server.add_insecure_port(_address(order["host"], order["port"]))
        except RuntimeError:
            return PORT_TAKEN  # the engine, which has bound the port before and knows how often this happens, says so
        await server.start()
        following = asyncio.create_task(_follow(connection.client.watch_status(), applications, health))
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        following.add_done_callback(lambda _: told.set())
        await told.wait()
        # It ends by itself only when it fails: then the engine starts the door again.
        failed = following.done()
        await health.shut_down()
        await server.stop(DRAIN_S)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        return int(failed)
    finally:
        await connection.close()


async def _follow(statuses: AsyncIterable[Status], applications: Applications, health: Health) -> None:
    async for status in statuses:
        applications.apply(status)
        await health.apply(applications.known)


def make_server(door: Door, health: Health) -> grpc.aio.Server:
    """The gRPC server for ``door``, not listening yet.

    Reflection is of the kind v1alpha, the only one that grpcio-reflection has; tools such as grpcurl ask for that when
    they do not find v1.
    """
    options = (
        ("grpc.so_reuseport", 0),  # two meshes would silently share the port
        ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    )
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((handler(door),))
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    reflection.enable_server_reflection((PREDICT_SERVICE, health_module.SERVICE_NAME, reflection.SERVICE_NAME), server)
    return server


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


if __name__ == "__main__":
    sys.exit("the door is started by the engine of a mesh; start one with mesh.run or `meshctl run module:node`")
