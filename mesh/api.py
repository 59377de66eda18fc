"""The public functions: start a mesh, run a graph on it, look at it, end it.

One process owns at most one mesh. What it runs ends with it, by whatever way it ends.

Functions import what they need when they are called, after the engine has been booted: the two take equally long, and
go on at the same time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, overload

from mesh import context
from mesh.errors import ConfigError, MeshUnavailable, NotSupportedYet

if TYPE_CHECKING:
    from mesh.application_status import MeshStatus
    from mesh.dag.nodes import DeploymentNode
    from mesh.engine.owner import BootedEngine
    from mesh.engine.places import LivingMesh
    from mesh.handle import DeploymentHandle
    from mesh.local import LocalMesh
    from mesh.owned_mesh import OwnedMesh
    from mesh.response import DeploymentResponse, Ref
    from mesh.type_variables import T


@dataclass(frozen=True, slots=True)
class HTTPOptions:
    """Where the HTTP bridge listens. "localhost" is 127.0.0.1 and ::1; port 0 takes any free one."""

    host: str = "localhost"
    port: int = 8000

    def __post_init__(self) -> None:
        _check_place(self.host, self.port)


@dataclass(frozen=True, slots=True)
class GRPCOptions:
    """Where the door, ``mesh.v1.PredictService``, listens; port 0 takes any free one, with None there is no door."""

    host: str = "127.0.0.1"
    port: int | None = 9000

    def __post_init__(self) -> None:
        _check_place(self.host, 0 if self.port is None else self.port)


def _check_place(host: object, port: object) -> None:
    if not isinstance(host, str):
        raise ConfigError(f"host must be the name or address to listen at, not {host!r}")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ConfigError(f"port must be 0 (any free one) or a whole number up to 65535, not {port!r}")


def start(
    detached: bool = False,
    http_options: HTTPOptions | None = None,
    grpc_options: GRPCOptions | None = None,
    *,
    local: bool | None = None,
) -> None:
    """Start a mesh that lives as long as this process; does nothing when it has one already.

    With ``local`` it is a mesh inside this process, see :func:`run`.

    Without ``grpc_options`` the door listens at port 9000, or, when HTTP takes any free port, at any free one;
    :func:`status` says where.

    Raises :class:`mesh.errors.MeshUnavailable` when the port is busy, naming the other mesh when it is one, and
    :class:`mesh.errors.ConfigError` when this process has a mesh with other options.
    """
    if detached:
        raise NotSupportedYet("start(detached=True) is not supported yet: a mesh ends with the script that started it")
    _check_options(http_options, grpc_options)
    if _is_local(local):
        _start_local(http_options)
        return
    with _engine_booting() as booted:
        _start(http_options, grpc_options, booted)


def run(
    node: DeploymentNode[T],
    *,
    name: str = "default",
    route_prefix: str | None = "/",
    blocking: bool = False,
    http_options: HTTPOptions | None = None,
    grpc_options: GRPCOptions | None = None,
    local: bool | None = None,
) -> DeploymentHandle[T]:
    """Deploy a node with all that it depends on, as the application ``name``, and return a handle to it when it runs.

    An application of that name is replaced: the new one comes up first, what did not change keeps its replicas.
    ``route_prefix`` is its place in HTTP, None for no place. With ``blocking`` it returns on Ctrl-C only.
    ``http_options`` and ``grpc_options`` are for :func:`start`, where this process has no mesh yet.

    ``local=True`` runs it inside this process, for tests: the same handles, graphs, streams, deadlines and errors, and
    no other process; HTTP only when ``http_options`` are given. None means what the environment variable ``MESH_LOCAL``
    says: 1 = local.

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when a replica does not start,
    :class:`mesh.errors.ConfigError` and :class:`TypeError` for what cannot be run.
    """
    _refuse_in_replica()
    _check_options(http_options, grpc_options)
    if _is_local(local):
        return _run_local(node, name, route_prefix, blocking, http_options)
    with _engine_booting() as booted:
        from mesh.application import application_of

        application = application_of(node, name, route_prefix)  # what cannot be run starts nothing
        mesh = _start(http_options, grpc_options, booted)
    handle: DeploymentHandle[T] = mesh.deploy(application)
    if blocking:
        mesh.wait_for_interrupt()
    else:
        mesh.say_at_exit()
    return handle


def status() -> MeshStatus:
    """The mesh of this process, or the one mesh of this user that runs. Raises MeshUnavailable when there is none."""
    if _owned is None and _local is not None:
        return _local.status()
    from mesh import connect
    from mesh.application_status import ApplicationStatus, MeshStatus

    mesh = _owned_or_living()
    connection = connect.connection_to(mesh.run_directory)
    status_now = connection.run(connection.client.status())
    return MeshStatus(
        url=f"http://{mesh.host}:{mesh.port}/" if mesh.port else "",
        grpc_address=f"{mesh.grpc_host}:{mesh.grpc_port}" if mesh.grpc_port else "",
        owner_pid=mesh.pid,
        engine_pid=mesh.engine_pid,
        run_directory=mesh.run_directory,
        applications=tuple(ApplicationStatus.from_proto(application) for application in status_now.applications),
    )


def delete(name: str) -> None:
    """Take an application away and wait until its replicas have ended what they had begun.

    Raises :class:`mesh.errors.DeploymentNotFound` when there is none of that name.
    """
    if _local is not None and (_owned is None or name in _local.application_names):
        _local.delete(name)
    else:
        _own().delete(name)


def shutdown(*, drain: bool = True) -> None:
    """End the mesh of this process; with ``drain`` replicas end what they have begun first. Without one do nothing."""
    global _owned, _local
    with _lock:
        meshes = (_owned, _local)
        _owned = _local = None
    for mesh in meshes:
        if mesh is not None:
            mesh.close(drain)


@overload
def get(ref: DeploymentResponse[T] | Ref[T], timeout_s: float | None = None) -> T: ...
@overload
def get(ref: list[DeploymentResponse[T]] | list[Ref[T]], timeout_s: float | None = None) -> list[T]: ...
@overload
def get(ref: Any, timeout_s: float | None = None) -> Any: ...
def get(ref: Any, timeout_s: float | None = None) -> Any:
    """The value of a ref or a response; of a list of them, nested too, a list of values; anything else is itself.

    Waits at most ``timeout_s`` seconds. In a ``def`` method of a deployment it gives the turn away while it waits; in
    an ``async def`` it raises RuntimeError: write ``await ref``.
    """
    from mesh.response import value_of

    return value_of(ref, timeout_s)


def get_deployment(name: str) -> NoReturn:
    """Not in this version."""
    raise NotSupportedYet(f"get_deployment({name!r}) is not supported yet: keep the handle that mesh.run returned")


def list_deployments() -> NoReturn:
    """Not in this version."""
    raise NotSupportedYet("list_deployments() is not supported yet: mesh.status() lists all deployments")


_owned: OwnedMesh | None = None
_local: LocalMesh | None = None
_lock = threading.RLock()


def _check_options(http_options: object, grpc_options: object) -> None:
    if os.environ.get("MESH_ADDRESS"):
        raise NotSupportedYet("MESH_ADDRESS is not supported yet: a script runs on the mesh that it starts itself")
    if http_options is not None and not isinstance(http_options, HTTPOptions):
        raise TypeError(f"write mesh.HTTPOptions(host=..., port=...) for http_options, not {http_options!r}")
    if grpc_options is not None and not isinstance(grpc_options, GRPCOptions):
        raise TypeError(f"write mesh.GRPCOptions(host=..., port=...) for grpc_options, not {grpc_options!r}")


@contextmanager
def _engine_booting() -> Iterator[BootedEngine | None]:
    """An engine that comes up meanwhile and has no orders yet; None where this process has a mesh already."""
    if _owned is not None and _owned.engine.alive:
        yield None
        return
    _refuse_in_replica()
    booted = _boot_engine()
    try:
        from mesh import application, owned_mesh  # noqa: F401 - now, while the engine does the same

        yield booted
    finally:
        booted.dismiss()


def _boot_engine() -> BootedEngine:
    try:
        from mesh.engine.owner import boot_engine
    except ModuleNotFoundError as error:
        raise MeshUnavailable(
            f"a mesh needs Linux, and this system has no {error.name}: on Windows, use WSL; "
            "binding and drawing graphs work everywhere"
        ) from error
    return boot_engine()


def _start(
    http_options: HTTPOptions | None, grpc_options: GRPCOptions | None, booted: BootedEngine | None
) -> OwnedMesh:
    from mesh.owned_mesh import OwnedMesh

    global _owned
    with _lock:
        if _owned is None or not _owned.engine.alive:
            http_options = http_options or HTTPOptions()
            grpc_options = grpc_options or GRPCOptions(port=9000 if http_options.port else 0)
            _owned = OwnedMesh(http_options, grpc_options, booted or _boot_engine())
        for wished, present in ((http_options, _owned.http_options), (grpc_options, _owned.grpc_options)):
            if wished is not None and wished != present:
                raise ConfigError(
                    f"this process runs a mesh with {present} already; "
                    f"call mesh.shutdown() before starting one with {wished}"
                )
        return _owned


def _is_local(local: bool | None) -> bool:
    return os.environ.get("MESH_LOCAL", "") not in ("", "0") if local is None else local


def _start_local(http_options: HTTPOptions | None) -> LocalMesh:
    from mesh.local import LocalMesh

    global _local
    with _lock:
        _refuse_in_replica()
        if _local is None:
            _local = LocalMesh()
        if http_options is not None:
            _local.listen(http_options.host, http_options.port)
        return _local


def _run_local(
    node: DeploymentNode[T], name: str, route_prefix: str | None, blocking: bool, http_options: HTTPOptions | None
) -> DeploymentHandle[T]:
    from mesh.application import application_of

    application = application_of(node, name, route_prefix)
    mesh = _start_local(http_options)
    handle: DeploymentHandle[T] = mesh.deploy(application)
    if blocking:
        mesh.wait_for_interrupt()
    return handle


def _own() -> OwnedMesh:
    if _owned is None or not _owned.engine.alive:
        raise MeshUnavailable("this process has no mesh: call mesh.run or mesh.start first")
    return _owned


def _owned_or_living() -> LivingMesh:
    if _owned is not None:
        return _own().living
    from mesh.engine.places import living

    meshes = living()
    if not meshes:
        raise MeshUnavailable("no mesh is running: start one with mesh.run or `meshctl run module:node`")
    if len(meshes) > 1:
        names = ", ".join(f"pid {mesh.pid} ({mesh.script}, port {mesh.port})" for mesh in meshes)
        raise MeshUnavailable(f"{len(meshes)} meshes are running, and one was expected: {names}")
    return meshes[0]


def _refuse_in_replica() -> None:
    try:
        replica = context.get_replica_context()
    except RuntimeError:
        return
    raise ConfigError(
        f"mesh.run and mesh.start were called inside replica {replica.replica_id}, perhaps because its module calls "
        'them when it is imported: put them under `if __name__ == "__main__":`'
    )
