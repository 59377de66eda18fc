"""The baseline: a plain grpc.aio unary server that answers a pickled call with a pickled result.

Run as a process of its own: ``python -m benchmarks.unary_server ADDRESS``; it prints a line when it serves.
"""

from __future__ import annotations

import asyncio
import pickle
import sys

import grpc
import grpc.aio

from mesh.loops import new_loop

METHOD = "/bench.Unary/Call"


async def echo(value: object) -> object:
    return value


async def call(request: bytes, _: object) -> bytes:
    args, kwargs = pickle.loads(request)
    return pickle.dumps(await echo(*args, **kwargs), 5)


async def serve(address: str) -> None:
    server = grpc.aio.server()
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(call)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Unary", handlers),))
    server.add_insecure_port(address)
    await server.start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(sys.argv[1]))
