"""Where a mesh listens, as its user says it."""

from __future__ import annotations

from dataclasses import dataclass

from mesh.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HTTPOptions:
    """Where the HTTP bridge listens. "localhost" is 127.0.0.1 and ::1; port 0 takes any free one.

    Raises :class:`ConfigError` for a port that is none.
    """

    host: str = "localhost"
    port: int = 8000

    def __post_init__(self) -> None:
        _check_place(self.host, self.port)


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
