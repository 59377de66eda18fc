"""The baseline's clients, and its servers as processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import grpc
import grpc.aio

from benchmarks.load import PAYLOAD, TIMEOUT_S
from benchmarks.unary_server import CALL, OPTIONS


@contextmanager
def unary_servers(number: int) -> Iterator[list[str]]:
    """So many servers on unix sockets, each a process of its own; their addresses."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        addresses = [f"unix:{folder}/{index}.sock" for index in range(number)]
        for address in addresses:
            servers.enter_context(_server(address))
        yield addresses


@contextmanager
def unary_chain(length: int) -> Iterator[str]:
    """So many servers, each of which asks the next; the address of the first."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        addresses = [f"unix:{folder}/{index}.sock" for index in range(length)]
        for address, following in reversed(list(zip(addresses, [*addresses[1:], None], strict=True))):
            servers.enter_context(_server(address, *filter(None, [following])))
        yield addresses[0]


@contextmanager
def _server(*arguments: str) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.unary_server", *arguments]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        if not server.stdout.readline():
            raise RuntimeError(f"{command} ended before it served")
        yield
    finally:
        server.kill()
        server.communicate()


class UnaryClient:
    """Calls as a careful user of grpc.aio does: one channel for each server, in turn, pickled arguments, a timeout."""

    def __init__(self, addresses: Sequence[str], method: str = CALL) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=OPTIONS) for address in addresses]
        self._calls = [channel.unary_unary(method) for channel in self._channels]
        self._turns = count()

    async def call(self, value: object = PAYLOAD) -> Any:
        call = self._calls[next(self._turns) % len(self._calls)]
        return pickle.loads(await call(pickle.dumps(((value,), {}), 5), timeout=TIMEOUT_S))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close(None)


class ThreadClient:
    """The same by gRPC's own synchronous API, for threads that wait."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._channels = [grpc.insecure_channel(address, options=OPTIONS) for address in addresses]
        self._calls = [channel.unary_unary(CALL) for channel in self._channels]
        self._turns = count()

    def call(self) -> Any:
        call = self._calls[next(self._turns) % len(self._calls)]
        return pickle.loads(call(pickle.dumps(((PAYLOAD,), {}), 5), timeout=TIMEOUT_S))

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
