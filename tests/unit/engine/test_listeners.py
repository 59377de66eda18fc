from __future__ import annotations

import socket

import pytest

from mesh.engine import listeners
from mesh.errors import ConfigError, MeshUnavailable


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("localhost", {"127.0.0.1", "::1"}),
        ("0.0.0.0", {"0.0.0.0"}),
        ("::1", {"::1"}),
    ],
)
def test_addresses(host: str, addresses: set[str]) -> None:
    bound = listeners.bind(host, 0)

    if not listeners._has_ipv6_loopback():
        addresses.discard("::1")
    assert {listener.getsockname()[0] for listener in bound} == addresses
    assert len({listener.getsockname()[1] for listener in bound}) == 1, "one port for all"
    for listener in bound:
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        listener.close()


def test_a_busy_port_leaves_nothing_bound() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(MeshUnavailable, match=f"port {port} on localhost is busy"):
            listeners.bind("localhost", port)

        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match=f"port {port} is not possible"):
        listeners.bind("localhost", port)


def test_reserved_port_is_free_for_who_binds_it_by_name_and_taken_once_somebody_listens() -> None:
    (reserved,) = listeners.reserve("127.0.0.1", 0)
    port = reserved.getsockname()[1]
    with reserved:
        assert not reserved.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        with socket.create_server(("127.0.0.1", port)), pytest.raises(MeshUnavailable, match=f"port {port} on"):
            listeners.reserve("127.0.0.1", port)
