"""The servers of a replica: gRPC on the address that the controller chose, a unix socket for callers on its host."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import grpc
import grpc.aio

from mesh.carrier import GrpcStream, Listener, UnixSocket
from mesh.token import TokenInterceptor
from mesh.v1.replica_pb2 import DrainRequest, DrainResponse
from sidecar.replica import Replica
from sidecar.session import ReplicaSession

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),
    # Callers ping every 5 s to see that this process is alive; gRPC would take that for abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # A caller whose host is gone leaves no word; its session, and with it its calls, must not stay for ever.
    ("grpc.keepalive_time_ms", 5000),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.ping_timeout_ms", 5000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", 16 * 1024 * 1024),
)


@asynccontextmanager
async def serving(
    replica: Replica, address: str, socket_path: str, token: str, on_drain: Callable[[float], None]
) -> AsyncIterator[None]:
    """Serve a replica while inside. ``on_drain(timeout_s)`` is what the Drain RPC calls."""
    server = grpc.aio.server(interceptors=(TokenInterceptor(token),), options=SERVER_OPTIONS)

    async def session(_: object, stream: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        opened = ReplicaSession(replica)
        opened.carrier = carrier = GrpcStream(stream, opened)
        replica.joined(opened)
        try:
            await carrier.wait_lost()
        finally:
            carrier.close()

    def accept(carrier: UnixSocket) -> ReplicaSession:
        opened = ReplicaSession(replica)
        opened.carrier = carrier
        opened.share_memory()
        replica.joined(opened)
        return opened

    async def drain(request: DrainRequest, _: object) -> DrainResponse:
        on_drain(request.timeout_s)
        return DrainResponse(ongoing=replica.admission.ongoing)

    # Session takes and gives bytes: its batches are parsed where they are read.
    handlers = {
        "Session": grpc.stream_stream_rpc_method_handler(session),
        "Drain": grpc.unary_unary_rpc_method_handler(
            drain,
            request_deserializer=DrainRequest.FromString,
            response_serializer=DrainResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("mesh.v1.ReplicaService", handlers),))
    server.add_insecure_port(address)
    await server.start()
    on_socket = await replica.loop.create_unix_server(lambda: Listener(token, accept), socket_path)
    try:
        yield
    finally:
        on_socket.close()
        with suppress(FileNotFoundError):
            os.unlink(socket_path)
        await server.stop(0.5)
