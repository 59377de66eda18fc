"""The baseline: a plain grpc.aio server that answers a pickled call with a pickled result, or with many.

Run as a process of its own: ``python -m benchmarks.unary_server ADDRESS [NEXT]``; it prints a line when it serves. With
NEXT, the address of another, the method Chain asks that one before it answers.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio

from benchmarks.load import TIMEOUT_S
from benchmarks.parent import end_with_parent
from mesh.loops import new_loop

CALL = "/bench.Unary/Call"
SUM = "/bench.Unary/Sum"
CHAIN = "/bench.Unary/Chain"
STREAM = "/bench.Unary/Stream"

OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
"""At both ends: the arrays are larger than gRPC's 4 MB."""


async def call(request: bytes, _: object) -> bytes:
    (value,), _ = pickle.loads(request)
    return pickle.dumps(value, 5)


async def total(request: bytes, _: object) -> bytes:
    (array,), _ = pickle.loads(request)
    return pickle.dumps(float(array.sum()), 5)


async def stream(request: bytes, _: object) -> AsyncGenerator[bytes, None]:
    item, number = pickle.loads(request)
    for _ in range(number):
        yield pickle.dumps(item, 5)


class Link:
    """Adds one and has the next add one."""

    def __init__(self, following: str | None) -> None:
        self._ask: Any = None
        if following:
            self._ask = grpc.aio.insecure_channel(following, options=OPTIONS).unary_unary(CHAIN)

    async def chain(self, request: bytes, _: object) -> bytes:
        (value,), _ = pickle.loads(request)
        result = value + 1
        if self._ask is not None:
            result = pickle.loads(await self._ask(pickle.dumps(((result,), {}), 5), timeout=TIMEOUT_S))
        return pickle.dumps(result, 5)


async def serve(address: str, following: str | None = None) -> None:
    server = grpc.aio.server(options=OPTIONS)
    handlers = {
        "Call": grpc.unary_unary_rpc_method_handler(call),
        "Sum": grpc.unary_unary_rpc_method_handler(total),
        "Chain": grpc.unary_unary_rpc_method_handler(Link(following).chain),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Unary", handlers),))
    server.add_insecure_port(address)
    await server.start()
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    end_with_parent()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(*sys.argv[1:]))
