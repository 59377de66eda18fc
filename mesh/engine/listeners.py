"""The sockets of the bridges and the place of the door: bound by the engine before anything else starts.

So a busy port costs nobody anything.
"""

from __future__ import annotations

import errno
import socket

from mesh.errors import ConfigError, MeshUnavailable

BACKLOG = 2048
"""Connections that wait while the only bridge is being restarted; the kernel may allow fewer."""

_ATTEMPTS = 20


def bind(host: str, port: int) -> tuple[socket.socket, ...]:
    """Listening sockets for ``host``, all on one port; port 0 takes a free one.

    Raises :class:`MeshUnavailable` when the port is busy, :class:`ConfigError` when host or port cannot be had at all.
    """
    return _bind_free(host, port, BACKLOG)


def reserve(host: str, port: int) -> tuple[socket.socket, ...]:
    """As :func:`bind`, for a child that has to bind the port itself: the sockets do not listen.

    While they are held the port is not given away as a free one, and whoever listens at it by name, as the child does,
    may still bind it: that is what SO_REUSEADDR means for a socket that does not listen.
    """
    return _bind_free(host, port, None)


def open_line(path: str) -> socket.socket:
    """A listening unix socket, by which one bridge is asked and no other; it is there before and after that bridge."""
    line = socket.socket(socket.AF_UNIX)
    line.bind(path)
    line.listen(BACKLOG)
    return line


def _bind_free(host: str, port: int, backlog: int | None) -> tuple[socket.socket, ...]:
    if not 0 <= port <= 65535:
        raise ConfigError(f"port {port} is not possible: it is 0 (any free one) or 1 to 65535")
    addresses = _addresses(host)
    for attempt in range(_ATTEMPTS):
        try:
            return _bind_all(addresses, port, backlog)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                if port == 0 and attempt + 1 < _ATTEMPTS:
                    continue  # the port was free for one address and not for the other
                raise MeshUnavailable(f"port {port} on {host} is busy") from error
            raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    raise AssertionError("the last attempt returns or raises")


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    if host == "localhost":
        addresses = [(socket.AF_INET, "127.0.0.1")]
        return [*addresses, (socket.AF_INET6, "::1")] if _has_ipv6_loopback() else addresses
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigError(f"host {host!r} has no address here: {error.strerror}") from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bind_all(
    addresses: list[tuple[socket.AddressFamily, str]], port: int, backlog: int | None
) -> tuple[socket.socket, ...]:
    bound: list[socket.socket] = []
    try:
        for family, address in addresses:
            listener = socket.socket(family)
            bound.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and address != "::":
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address, port))
            if backlog is not None:
                listener.listen(backlog)
            port = listener.getsockname()[1]
    except OSError:
        for listener in bound:
            listener.close()
        raise
    return tuple(bound)
