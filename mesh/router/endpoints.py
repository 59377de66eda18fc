"""What a full endpoint set changes in the set at hand. State, not history: the same set may come again any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica that can be called: its id, never used twice, its gRPC target, and its unix socket for this host."""

    replica_id: str
    address: str
    socket_path: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """From the present set to the wished-for one: what comes, what stays, what goes, each by replica_id."""

    added: tuple[Endpoint, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]


def compare(present: Mapping[str, Any], wanted: Iterable[Endpoint]) -> Change:
    """The change from ``present`` (keyed by replica_id) to ``wanted``; a repeated replica_id counts once."""
    by_id = {endpoint.replica_id: endpoint for endpoint in wanted}
    return Change(
        added=tuple(endpoint for replica_id, endpoint in by_id.items() if replica_id not in present),
        kept=tuple(replica_id for replica_id in by_id if replica_id in present),
        removed=tuple(replica_id for replica_id in present if replica_id not in by_id),
    )
