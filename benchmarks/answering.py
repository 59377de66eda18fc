"""A script as a user writes it, of which the benchmarks of starting and of memory are told when it answers.

Run as a process of its own: ``python -m benchmarks.answering REPLICAS PORT``. It prints one line, an :class:`Answered`
as JSON, when all its replicas have answered, and ends with its standard input.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter

import mesh


@dataclass(frozen=True, slots=True)
class Answered:
    """Moments on the clock that all processes of a machine share, and process ids."""

    run_s: float
    """When the script called ``mesh.run``."""
    answered_s: float
    """When the last of its replicas had answered; of one replica, over HTTP."""
    engine_pid: int
    replica_pids: tuple[int, ...]


@mesh.deployment
class Trivial:
    """Holds nothing."""

    async def __call__(self, request: object) -> str:
        return "x"

    async def pid(self) -> int:
        import os

        return os.getpid()


def main(replicas: int, port: int) -> None:
    mesh.start(http_options=mesh.HTTPOptions("127.0.0.1", port), grpc_options=mesh.GRPCOptions(port=0))
    run_s = perf_counter()
    handle = mesh.run(Trivial.options(num_replicas=replicas).bind())
    if replicas == 1:
        _get(port)
    pids: set[int] = set()
    answered_s = perf_counter()
    while len(pids) < replicas:
        pids.update(mesh.get([handle.pid.remote() for _ in range(2 * replicas)]))
        answered_s = perf_counter() if replicas > 1 else answered_s
    answered = Answered(run_s, answered_s, mesh.status().engine_pid, tuple(pids))
    sys.stdout.write(json.dumps(asdict(answered)) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    mesh.shutdown(drain=False)


def _get(port: int) -> None:
    """One request, without the 50 ms that importing an HTTP client takes."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status_line = connection.makefile("rb").readline()
    if b" 200 " not in status_line:
        raise RuntimeError(f"the first answer was {status_line!r}")


@contextmanager
def answering(replicas: int, port: int, environment: Mapping[str, str]) -> Iterator[tuple[int, float, Answered]]:
    """The script as a process that has answered: its pid, the moment before its start, and what it told."""
    command = [sys.executable, "-m", "benchmarks.answering", str(replicas), str(port)]
    begun_s = perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(command)} ended before it answered")
        yield process.pid, begun_s, Answered(**json.loads(line))
        process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
