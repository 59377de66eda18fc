"""Which mesh a process means: the one that it has started, one that it is attached to, or one that it only asks.

A process uses at most one mesh for what it deploys. What it deploys on its own mesh ends with it; what it deploys on a
detached mesh stays. Another script's mesh can be asked and called, but what is deployed there is up to that script.

Functions import what they need when they are called: an engine boots before the rest is imported, and on systems where
no mesh can run, this can still be imported.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesh import context
from mesh.errors import ConfigError, MeshUnavailable
from mesh.listen_options import GRPCOptions, HTTPOptions
from mesh.local import own

if TYPE_CHECKING:
    from mesh.engine.owner import BootedEngine, EngineProcess
    from mesh.engine.places import LivingMesh
    from mesh.local.local_mesh import LocalMesh
    from mesh.used_mesh import UsedMesh

DEFAULT_NAME = "default"
"""The name of a detached mesh when nobody gave one."""

ADDRESS_VARIABLE = "MESH_ADDRESS"
"""The environment variable that says which mesh is meant; see :func:`find`."""


@contextmanager
def starting(
    detached: bool = False,
    http_options: HTTPOptions | None = None,
    grpc_options: GRPCOptions | None = None,
    name: str = DEFAULT_NAME,
    *,
    attach: bool = True,
) -> Iterator[Callable[..., UsedMesh]]:
    """What gives the mesh to deploy to, started or attached to as :func:`mesh.api.start` says.

    While inside, an engine that has to be started comes up and has no orders yet; left without a call, it is dismissed
    and nothing was started. Without ``attach`` the mesh is one of this process' own, and the options may be given to
    the call instead.
    """
    if _used is not None and _used.is_alive:
        _check_same(_used, detached, http_options, grpc_options)
        yield to_deploy_to
        return
    refuse_in_replica()
    with _on_linux():
        from mesh.engine.owner import boot_engine

    look = _detached if detached and not os.environ.get(ADDRESS_VARIABLE) else _to_attach_to
    found = look(name, http_options, grpc_options) if attach else None
    if found is not None:
        yield lambda: _use(lambda: _attached(found))
        return
    booted = boot_engine()
    try:
        from mesh import used_mesh  # noqa: F401 - now, while the engine does the same

        yield lambda http=http_options, grpc=grpc_options: _use(lambda: _started(booted, detached, http, grpc, name))
    finally:
        booted.dismiss()


def attach() -> UsedMesh:
    """Use a mesh that runs already: the one that MESH_ADDRESS names, or a detached one.

    Raises :class:`mesh.errors.MeshUnavailable` when there is none, or when it may not be deployed to.
    """
    global _used
    with _lock:
        if _used is None or not _used.is_alive:
            found = _to_attach_to(DEFAULT_NAME, None, None)
            if found is None:
                raise MeshUnavailable("no detached mesh is running: start one with `meshctl start`")
            _used = _attached(found)
    return to_deploy_to()


def is_used() -> bool:
    """This process has a mesh to deploy to, alive or not."""
    return _used is not None


def to_deploy_to() -> UsedMesh:
    """The mesh of this process; :func:`start` comes first. Raises MeshUnavailable for the mesh of another script."""
    if _used is None or not _used.is_alive:
        raise MeshUnavailable("this process has no mesh: call mesh.run or mesh.start first")
    _used.check_may_deploy()
    return _used


def to_ask() -> UsedMesh:
    """The mesh of this process, the one that MESH_ADDRESS names, or the only one of this user that runs.

    Raises :class:`mesh.errors.MeshUnavailable` when there is none, or more than one to choose from.
    """
    if _used is not None:
        if not _used.is_alive:
            raise MeshUnavailable("this process has no mesh: call mesh.run or mesh.start first")
        return _used
    with _on_linux():
        from mesh.used_mesh import UsedMesh

    if address := os.environ.get(ADDRESS_VARIABLE):
        return UsedMesh(_of_this_version(find(address)))
    meshes = _living()
    if not meshes:
        raise MeshUnavailable(
            "no mesh is running: start one with mesh.run, `meshctl run module:node` or `meshctl start`"
        )
    if len(meshes) > 1:
        raise MeshUnavailable(f"{len(meshes)} meshes are running, and one was expected: {_choice(meshes)}")
    return UsedMesh(_of_this_version(meshes[0]))


def local() -> LocalMesh | None:
    """The local mesh, when this process uses no other."""
    return None if is_used() else own.present()


def asked() -> UsedMesh | LocalMesh:
    """The local mesh, when this process uses no other; otherwise as :func:`to_ask`."""
    return local() or to_ask()


def find(address: str) -> LivingMesh:
    """The mesh that runs at ``address``: a detached mesh's name, "host:port" or the port of HTTP or gRPC, the pid of
    its owner or engine, or its run directory.

    Raises :class:`mesh.errors.MeshUnavailable` when there is no such mesh, naming those that there are.
    """
    meshes = _living()
    found = [mesh for mesh in meshes if mesh.name == address] or [
        mesh for mesh in meshes if address in _addresses(mesh)
    ]
    if len(found) == 1:
        return found[0]
    what = f"no mesh is at {address!r}" if not found else f"{len(found)} meshes are at {address!r}"
    raise MeshUnavailable(f"{what}; {f'there are: {_choice(meshes)}' if meshes else 'none is running'}")


def shutdown(drain: bool, keep: bool) -> LivingMesh | None:
    """End the mesh of this process, or the detached one that it would be attached to, and give it; None without one.

    A process that had a mesh of its own means that one alone, however often it says so.
    """
    global _used
    with _lock:
        from mesh.used_mesh import UsedMesh

        mesh = _used
        if mesh is None and not _had_own and (found := _to_attach_to(DEFAULT_NAME, None, None)):
            mesh = UsedMesh(found)
        if mesh is not None:
            mesh.close(drain, keep)
        _used = None
        return mesh.living if mesh else None


def end_own(drain: bool) -> None:
    """End the mesh that this process has started, if it has one."""
    global _used
    with _lock:
        if _used is not None and _used.engine is not None:
            _used.close(drain)
            _used = None


def refuse_in_replica() -> None:
    """Raises :class:`mesh.errors.ConfigError` in a replica, which has nothing to start or deploy."""
    try:
        replica = context.get_replica_context()
    except RuntimeError:
        return
    raise ConfigError(
        f"mesh.run, mesh.start or deploy() was called inside replica {replica.replica_id}, perhaps because its module "
        'calls it when it is imported: put it under `if __name__ == "__main__":`'
    )


_used: UsedMesh | None = None
_had_own = False
_lock = threading.RLock()


@contextmanager
def _on_linux() -> Iterator[None]:
    """Says what to do where the modules that a mesh needs do not exist."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MeshUnavailable(
            f"a mesh needs Linux, and this system has no {error.name}: on Windows, use WSL; "
            "binding and drawing graphs work everywhere"
        ) from error


def _check_same(
    mesh: UsedMesh, detached: bool, http_options: HTTPOptions | None, grpc_options: GRPCOptions | None
) -> None:
    wished = [options for options in (http_options, grpc_options) if options and not _listens_at(mesh.living, options)]
    if wished:
        raise ConfigError(
            f"{wished[0]} is not what the {mesh.living} has, and this process uses that already; "
            "call mesh.shutdown() before starting another"
        )
    if detached and not mesh.living.detached:
        raise ConfigError(
            "this process has a mesh that ends with it; call mesh.shutdown() before mesh.start(detached=True)"
        )


def _to_attach_to(name: str, http_options: HTTPOptions | None, grpc_options: GRPCOptions | None) -> LivingMesh | None:
    """The mesh that runs already and that is meant: by MESH_ADDRESS, otherwise a detached one that listens there."""
    if address := os.environ.get(ADDRESS_VARIABLE):
        return find(address)
    detached = [mesh for mesh in _living() if mesh.detached and mesh.name]
    found = [mesh for mesh in detached if mesh.name == name] or detached
    wished = [options for options in (http_options, grpc_options) if options is not None]
    found = [mesh for mesh in found if all(_listens_at(mesh, options) for options in wished)]
    if len(found) > 1:
        raise MeshUnavailable(f"{len(found)} detached meshes are running, and none is {name!r}: {_choice(found)}")
    return found[0] if found else None


def _detached(name: str, http_options: HTTPOptions | None, grpc_options: GRPCOptions | None) -> LivingMesh | None:
    """The detached mesh of that name, if it runs."""
    for mesh in _living():
        if mesh.name == name:
            for options in (http_options, grpc_options):
                if options is not None and not _listens_at(mesh, options):
                    raise ConfigError(f"the {mesh} runs already, without {options}; `meshctl shutdown` ends it")
            return mesh
    return None


def _listens_at(mesh: LivingMesh, options: HTTPOptions | GRPCOptions) -> bool:
    host, port = (mesh.host, mesh.port) if isinstance(options, HTTPOptions) else (mesh.grpc_host, mesh.grpc_port)
    if options.port is None:
        return port == 0
    if isinstance(options, HTTPOptions) and options.bridges not in (1, mesh.bridges):  # 1 is what nobody has asked for
        return False
    return port != 0 and host == options.host and options.port in (port, 0)


def _use(make: Callable[[], UsedMesh]) -> UsedMesh:
    """The mesh that this process has from now on; another thread may have been quicker, then it is that one."""
    global _used
    with _lock:
        if _used is None or not _used.is_alive:
            _used = make()
        return to_deploy_to()


def _attached(living: LivingMesh) -> UsedMesh:
    from mesh import connect
    from mesh.used_mesh import UsedMesh

    mesh = UsedMesh(_of_this_version(living))
    connect.use(mesh.connection)
    return mesh


def _started(
    booted: BootedEngine,
    detached: bool,
    http_options: HTTPOptions | None,
    grpc_options: GRPCOptions | None,
    name: str,
) -> UsedMesh:
    from mesh import connect
    from mesh.engine.owner import EngineOptions
    from mesh.used_mesh import UsedMesh

    global _had_own
    http_options = http_options or HTTPOptions()
    grpc_options = grpc_options or GRPCOptions(port=9000 if http_options.port else 0)
    engine = booted.start(
        EngineOptions(
            host=http_options.host,
            port=http_options.port,
            bridges=http_options.bridges,
            grpc_host=grpc_options.host,
            grpc_port=grpc_options.port,
            detached=detached,
            name=name if detached else "",
        )
    )
    _had_own = True
    mesh = UsedMesh(_card_of(engine, http_options, grpc_options, name if detached else ""), engine)
    connect.use(mesh.connection)
    return mesh


def _card_of(engine: EngineProcess, http_options: HTTPOptions, grpc_options: GRPCOptions, name: str) -> LivingMesh:
    """What the engine has published; its run directory may be removed before it is read."""
    from mesh.engine.owner import mesh_version
    from mesh.engine.places import LivingMesh
    from mesh.engine.state_directory import state_directory

    return LivingMesh(
        pid=os.getpid(),
        script=sys.argv[0] if sys.argv else "",
        host=http_options.host,
        port=engine.port,
        run_directory=engine.run_directory,
        version=mesh_version(),
        engine_pid=engine.pid,
        detached=bool(name),
        grpc_host=grpc_options.host if engine.grpc_port else "",
        grpc_port=engine.grpc_port,
        name=name,
        state_directory=str(state_directory(name)) if name else "",
        bridges=http_options.bridges,
    )


def _living() -> list[LivingMesh]:
    from mesh.engine.places import living

    return living()


def _of_this_version(mesh: LivingMesh) -> LivingMesh:
    from mesh.engine.owner import mesh_version

    if mesh.version != mesh_version():
        raise MeshUnavailable(
            f"the {mesh} is of mesh {mesh.version}, and this process uses mesh {mesh_version()}: "
            "use the same version, or start another mesh"
        )
    return mesh


def _addresses(mesh: LivingMesh) -> set[str]:
    ports = [(mesh.host, mesh.port), (mesh.grpc_host, mesh.grpc_port)]
    places = {f"{host}:{port}" for host, port in ports if port} | {str(port) for _, port in ports if port}
    return {*places, str(mesh.pid), str(mesh.engine_pid), mesh.run_directory}


def _choice(meshes: list[LivingMesh]) -> str:
    names = ", ".join(sorted(str(mesh) for mesh in meshes))
    return f"{names}; {ADDRESS_VARIABLE} or --mesh chooses one by its name, port or pid"
