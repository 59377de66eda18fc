"""Where a mesh listens, as its user says it."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.errors import ConfigError

MOST_BRIDGES = 64
"""Each is a process with connections to all replicas that answer HTTP."""


@dataclass(frozen=True, slots=True)
class HTTPOptions:
    """Where HTTP is answered. "localhost" is 127.0.0.1 and ::1; port 0 takes any free one.

    All ``bridges`` are processes that answer there. One does with one core at most; more are of use where its core is
    busy and others are not. Raises :class:`ConfigError` for a port that is none, and for no or too many bridges.
    """

    host: str = "localhost"
    port: int = 8000
    bridges: int = 1

    def __post_init__(self) -> None:
        _check_place(self.host, self.port)
        if not isinstance(self.bridges, int) or isinstance(self.bridges, bool) or not 1 <= self.bridges <= MOST_BRIDGES:
            raise ConfigError(f"bridges must be a whole number from 1 to {MOST_BRIDGES}, not {self.bridges!r}")


@dataclass(frozen=True, slots=True)
class GRPCOptions:
    """Where the door, ``mesh.v1.PredictService``, listens; port 0 takes any free one, with None there is no door.

    Raises :class:`ConfigError` for a port that is none.
    """

    host: str = "127.0.0.1"
    port: int | None = 9000

    def __post_init__(self) -> None:
        _check_place(self.host, 0 if self.port is None else self.port)


def _check_place(host: object, port: object) -> None:
    if not isinstance(host, str):
        raise ConfigError(f"host must be the name or address to listen at, not {host!r}")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ConfigError(f"port must be 0 (any free one) or a whole number up to 65535, not {port!r}")
