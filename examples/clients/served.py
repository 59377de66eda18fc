"""What the clients call: the graph of handwritten digits, and a countdown that yields a number every tenth of a second.

Run it:    python -m examples.clients.served COMMAND...     (or: make clients)

It runs the command with the door's address as its last argument, and ends with the command's exit code.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator

import mesh
from examples.digits.graph import graph


@mesh.deployment
async def countdown(start: int) -> AsyncGenerator[int, None]:
    """The numbers from ``start`` down to 1."""
    for number in range(start, 0, -1):
        yield number
        await asyncio.sleep(0.1)


def main(command: list[str]) -> int:
    """Serves both while the command runs."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))  # any free ports
    mesh.run(graph, name="digits", route_prefix=None)
    mesh.run(countdown.bind(), name="countdown", route_prefix=None)
    code = subprocess.run([*command, mesh.status().grpc_address], check=False).returncode
    mesh.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
