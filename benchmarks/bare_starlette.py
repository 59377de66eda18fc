"""The baseline of HTTP: Starlette under uvicorn, one worker, with the loop, parser and settings that mesh uses.

Run as a process of its own: ``python -m benchmarks.bare_starlette PORT``.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic, sleep

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from benchmarks.parent import end_with_parent
from benchmarks.token_streams import stream_for
from mesh.loops import new_loop

STARTS_WITHIN_S = 30


async def hello(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello " + request.query_params.get("name", "stranger"))


async def stream(request: Request) -> StreamingResponse:
    return stream_for(request)


@contextmanager
def bare_starlette(environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """One as a process, from its first answer of 200 on; its URL, and the process."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_starlette", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    try:
        _wait_answers(process, port)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_answers(process: subprocess.Popen[bytes], port: int) -> None:
    limit = monotonic() + STARTS_WITHIN_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STARTS_WITHIN_S)
        try:
            connection.request("GET", "/?name=a")
            if connection.getresponse().status == 200:
                return
        except ConnectionRefusedError:
            sleep(0.002)  # another process binds the port, and nothing tells when
        finally:
            connection.close()
        if process.poll() is not None or monotonic() > limit:
            raise RuntimeError(f"bare Starlette did not answer at port {port}")


def main(port: int) -> None:
    config = uvicorn.Config(
        Starlette(routes=[Route("/", hello), Route("/stream", stream)]),
        port=port,
        http="auto",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    end_with_parent()
    main(int(sys.argv[1]))
