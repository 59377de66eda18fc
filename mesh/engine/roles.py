"""The processes of a mesh that its engine keeps running: what they are called, and what each is started from."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from mesh.engine.backoff import Backoff
from mesh.engine.child import Child
from mesh.engine.places import RunDirectory
from mesh.engine.start import StartOrder
from mesh.engine.tree import Seed

CONTROLLER = "controller"
BRIDGE = "bridge"
DOOR = "door"


@dataclass(slots=True)
class Role:
    """A process that is restarted: how often it was started, and when it is due again."""

    start: Callable[[int], None]
    incarnation: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    due_s: float | None = 0.0
    complaint: str = ""
    """What was said about its last end, so that it is not said again and again."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a mesh listens: the ``http`` sockets that all bridges share, a ``line`` of its own to each bridge, by which
    one is asked and no other, and the sockets that keep the ``door_port`` free for the ``door``.
    """

    http: tuple[socket.socket, ...] = ()
    lines: tuple[socket.socket, ...] = ()
    door: tuple[socket.socket, ...] = ()
    door_port: int = 0

    def close(self) -> None:
        """From now on the processes that have them decide alone who is let in."""
        for listener in (*self.http, *self.lines, *self.door):
            listener.close()


def bridge_names(bridges: int) -> tuple[str, ...]:
    """What the bridges of a mesh are called.

    >>> bridge_names(3)
    ('bridge', 'bridge-2', 'bridge-3')
    """
    return (BRIDGE, *(f"{BRIDGE}-{number}" for number in range(2, bridges + 1)))[:bridges]


def controller_seed(order: StartOrder, place: RunDirectory, incarnation: int, engine_socket: socket.socket) -> Seed:
    """The controller, at its end of its line to the engine."""
    child = Child(CONTROLLER, incarnation, b"", str(place.path), place.token, engine_socket=engine_socket)
    return Seed(child, order.controller_role, "mesh: controller", "(controller)")


def bridge_seed(order: StartOrder, place: RunDirectory, listening: Listening, number: int, incarnation: int) -> Seed:
    """The bridge of that number, from 0."""
    name = bridge_names(order.bridges)[number]
    argument: dict[str, object] = {"debug_errors": not order.detached, "number": number, "bridges": order.bridges}
    listeners = (*listening.http, listening.lines[number])
    child = Child(name, incarnation, _json(argument), str(place.path), place.token, listeners)
    return Seed(child, order.bridge_role, f"mesh: {name}", f"({name})")


def door_seed(order: StartOrder, place: RunDirectory, listening: Listening, incarnation: int) -> Seed:
    """The door, which binds its own port."""
    argument = {"host": order.grpc_host, "port": listening.door_port, "debug_errors": not order.detached}
    child = Child(DOOR, incarnation, _json(argument), str(place.path), place.token)
    return Seed(child, order.door_role, "mesh: door", "(door)")


def _json(argument: dict[str, object]) -> bytes:
    return json.dumps(argument).encode()
