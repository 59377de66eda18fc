"""The mesh inside this process, when there is one: whether it is meant, and its beginning and end."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from mesh.listen_options import HTTPOptions
from mesh.meshes import refuse_in_replica

if TYPE_CHECKING:
    from mesh.local import LocalMesh

LOCAL_VARIABLE = "MESH_LOCAL"
"""The environment variable that makes what a program runs local when the program does not say: 1 = local."""


def is_meant(local: bool | None) -> bool:
    """Whether what is run goes to the mesh inside this process; None leaves it to the environment."""
    return os.environ.get(LOCAL_VARIABLE, "") not in ("", "0") if local is None else local


def start(http_options: HTTPOptions | None) -> LocalMesh:
    """The mesh inside this process, begun when there is none; with options it answers HTTP there."""
    from mesh.local import LocalMesh

    global _local
    with _lock:
        refuse_in_replica()
        if _local is None:
            _local = LocalMesh()
        if http_options is not None:
            _local.listen(http_options.host, http_options.port)
        return _local


def present() -> LocalMesh | None:
    """The mesh inside this process."""
    return _local


def shutdown(drain: bool) -> bool:
    """End it; False when there is none."""
    global _local
    with _lock:
        mesh, _local = _local, None
    if mesh is not None:
        mesh.close(drain)
    return mesh is not None


_local: LocalMesh | None = None
_lock = threading.RLock()
