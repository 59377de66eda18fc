"""The local mesh of this process, if it has one. Nothing of it is imported before somebody wants it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from mesh.errors import ConfigError
from mesh.listen_options import GRPCOptions, HTTPOptions

if TYPE_CHECKING:
    from mesh.local.local_mesh import LocalMesh

LOCAL_VARIABLE = "MESH_LOCAL"
"""The environment variable that makes a mesh local where nothing else is said: 1 = local."""

_OF_PROCESSES = f"start a mesh of processes, with local=False or without {LOCAL_VARIABLE}=1"

_own: LocalMesh | None = None
_lock = threading.RLock()


def is_wanted(local: bool | None = None) -> bool:
    """What ``local`` says, or else the environment."""
    return os.environ.get(LOCAL_VARIABLE, "") not in ("", "0") if local is None else local


def start(
    http_options: HTTPOptions | None = None, grpc_options: GRPCOptions | None = None, *, detached: bool = False
) -> LocalMesh:
    """The local mesh, made when there is none; it answers HTTP when options for that are given.

    Raises :class:`mesh.errors.ConfigError` when it answers at another place already, and for what only a mesh of
    processes has.
    """
    if detached:
        raise ConfigError(f"a local mesh ends with this process, so it cannot be detached: {_OF_PROCESSES}")
    if grpc_options is not None:
        raise ConfigError(
            "a local mesh has no gRPC door: call the handle that mesh.run returns, or HTTP where http_options say; "
            f"for PredictService {_OF_PROCESSES}"
        )
    if http_options is not None and http_options.bridges > 1:
        raise ConfigError(f"a local mesh is one process: it has one bridge, not {http_options.bridges}")
    from mesh.local.local_mesh import LocalMesh

    global _own
    with _lock:
        if _own is None:
            _own = LocalMesh()
        if http_options is not None:
            _own.listen(http_options.host, http_options.port)
        return _own


def present() -> LocalMesh | None:
    """The local mesh, when there is one."""
    return _own


def shutdown(drain: bool) -> bool:
    """End it; whether there was one."""
    global _own
    with _lock:
        mesh, _own = _own, None
    if mesh is not None:
        mesh.close(drain)
    return mesh is not None
