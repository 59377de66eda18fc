"""What an owner and the engine that it starts say to each other: one order, one report, each a JSON message."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass

from mesh.engine.messages import Unpacker, pack

CONTROLLER_ROLE = "mesh.controller.__main__:main"
BRIDGE_ROLE = "http_bridge.__main__:main"
DOOR_ROLE = "mesh.door.__main__:main"


@dataclass(frozen=True, slots=True)
class StartOrder:
    """The order of the owner. ``owner_death`` is the inherited descriptor of its death, or -1 for a detached mesh.

    ``bridges`` is how many there are with ``http``. ``grpc_port`` is the door's, None for no door. A detached mesh has
    a ``name``, and a ``state_directory`` for what outlives it.
    """

    owner_pid: int
    owner_death: int
    script: str
    version: str
    host: str
    port: int
    detached: bool
    http: bool
    grpc_host: str
    grpc_port: int | None
    drain_limit_s: float
    controller_role: str
    bridge_role: str
    door_role: str
    name: str = ""
    state_directory: str = ""
    bridges: int = 1


@dataclass(frozen=True, slots=True)
class StartReport:
    """The answer of the engine. With an ``error`` nothing was started; ``is_config_error`` says whose fault it is."""

    run_directory: str = ""
    token: str = ""
    pid: int = 0
    port: int = 0
    grpc_port: int = 0
    error: str = ""
    is_config_error: bool = False


def send(line: socket.socket, message: StartOrder | StartReport) -> None:
    """Sends one of them."""
    line.sendall(pack(json.dumps(asdict(message)).encode()))


def receive_order(line: socket.socket) -> StartOrder:
    """Waits for the order; raises EOFError when the owner is gone."""
    return StartOrder(**json.loads(_receive(line)))


def receive_report(line: socket.socket) -> StartReport:
    """Waits for the report; raises EOFError when the engine is gone, TimeoutError as the socket says."""
    return StartReport(**json.loads(_receive(line)))


def _receive(line: socket.socket) -> bytes:
    unpacker = Unpacker()
    while piece := line.recv(65536):
        for message in unpacker.feed(piece):
            return message
    raise EOFError
