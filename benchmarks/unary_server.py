"""The baseline: a plain grpc.aio server that answers a pickled call with a pickled result, or with many.

Run as a process of its own: ``python -m benchmarks.unary_server ADDRESS``; it prints a line when it serves.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import AsyncGenerator

import grpc
import grpc.aio

from mesh.loops import new_loop

METHOD = "/bench.Unary/Call"
STREAM_METHOD = "/bench.Unary/Stream"


async def echo(value: object) -> object:
    return value


async def call(request: bytes, _: object) -> bytes:
    args, kwargs = pickle.loads(request)
    return pickle.dumps(await echo(*args, **kwargs), 5)


async def stream(request: bytes, _: object) -> AsyncGenerator[bytes, None]:
    item, number = pickle.loads(request)
    for _ in range(number):
        yield pickle.dumps(item, 5)


async def serve(address: str) -> None:
    server = grpc.aio.server()
    handlers = {
        "Call": grpc.unary_unary_rpc_method_handler(call),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Unary", handlers),))
    server.add_insecure_port(address)
    await server.start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(sys.argv[1]))
