"""The tests of the folder above on a mesh inside this process: what holds between processes holds here.

Left out are the tests of processes: of their ids, of their death, and of the gRPC door.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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


def _unless_it_ends_this_process(function: Callable[..., Any]) -> Callable[..., Any]:
    here = os.getpid()

    def guarded(*args: Any) -> Any:
        if os.getpid() == here and (function.__name__ != "kill" or args[0] == here):
            raise AssertionError("this test ends a process: leave it out of the tests of a local mesh")
        return function(*args)

    return guarded


@pytest.fixture(scope="module")
def own_mesh(places: object) -> Iterator[LocalMesh]:
    """The mesh inside this process, with HTTP at a free port: what the tests run goes there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESH_LOCAL", "1")
        for name in ("kill", "_exit", "abort"):  # a test of another folder that ends a replica would end this process
            patch.setattr(os, name, _unless_it_ends_this_process(getattr(os, name)))
        mesh.start(http_options=mesh.HTTPOptions(port=0))
        yield LocalMesh(mesh.status().url.rstrip("/"))
        mesh.shutdown()
