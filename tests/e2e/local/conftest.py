"""The tests of the folder above on a mesh inside this process: what holds between processes holds here.

Left out are the tests of processes: of their ids, of their death, and of the gRPC door.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import mesh


@dataclass(frozen=True)
class LocalMesh:
    """What a test may ask of it."""

    url: str

    def replicas(self, deployment: str = "") -> dict[str, None]:
        """The ids of the replicas; none of them has a process that could be looked at, or killed."""
        running = [d for application in mesh.status().applications for d in application.deployments]
        ids = [replica.replica_id for found in running for replica in found.replicas]
        return {replica_id: None for replica_id in ids if replica_id.startswith(deployment)}


@pytest.fixture(scope="module")
def own_mesh(places: object) -> Iterator[LocalMesh]:
    """The mesh inside this process, with HTTP at a free port: what the tests run goes there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESH_LOCAL", "1")
        mesh.start(http_options=mesh.HTTPOptions(port=0))
        yield LocalMesh(mesh.status().url.rstrip("/"))
        mesh.shutdown()
