"""The public functions: start a mesh, run a graph on it, look at it, end it.

One process deploys to at most one mesh, see :mod:`mesh.meshes`. What it runs on its own mesh ends with it.

Functions import what they need when they are called, after the engine has been booted: the two take equally long, and
go on at the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from mesh import meshes
from mesh.listen_options import GRPCOptions, HTTPOptions
from mesh.local import own

if TYPE_CHECKING:
    from mesh.application_status import MeshStatus
    from mesh.dag.nodes import DeploymentNode
    from mesh.deployments import Deployment
    from mesh.handle import DeploymentHandle
    from mesh.response import DeploymentResponse, Ref
    from mesh.type_variables import T


def start(
    detached: bool = False,
    http_options: HTTPOptions | None = None,
    grpc_options: GRPCOptions | None = None,
    *,
    name: str = meshes.DEFAULT_NAME,
    local: bool | None = None,
) -> None:
    """Start a mesh that lives as long as this process; does nothing when it has one already.

    With ``detached`` the mesh outlives this process, until :func:`shutdown` or ``meshctl shutdown``. It is found by
    its ``name``; when it runs already, this process is attached to it. Where a detached mesh runs that listens at what
    is asked for, or where MESH_ADDRESS names a mesh, this process is attached to that one and starts none.

    With ``local`` it is a mesh inside this process, see :func:`run`.

    Without ``grpc_options`` the door listens at port 9000, or, when HTTP takes any free port, at any free one;
    :func:`status` says where.

    Raises :class:`mesh.errors.MeshUnavailable` when the port is busy, naming the other mesh when it is one, and
    :class:`mesh.errors.ConfigError` when this process has a mesh with other options.
    """
    _check_options(http_options, grpc_options)
    if own.is_wanted(local):
        meshes.refuse_in_replica()
        own.start(http_options, grpc_options, detached=detached)
        return
    with meshes.starting(detached, http_options, grpc_options, name) as start_now:
        start_now()


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

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when a replica does not start,
    :class:`mesh.errors.ConfigError` and :class:`TypeError` for what cannot be run,
    :class:`mesh.errors.DeployInProgress` while somebody else deploys that application.
    """
    meshes.refuse_in_replica()
    _check_options(http_options, grpc_options)
    if own.is_wanted(local):
        return _run_local(node, name, route_prefix, blocking, http_options, grpc_options)
    with meshes.starting(http_options=http_options, grpc_options=grpc_options) as start_now:
        from mesh import deploying
        from mesh.application import application_of
        from mesh.handle import DeploymentHandle

        application = application_of(node, name, route_prefix)  # what cannot be run starts nothing
        mesh = start_now()
    deploying.deploy(mesh, application)
    handle: DeploymentHandle[T] = DeploymentHandle(
        name, application.spec.driver, run_directory=mesh.living.run_directory
    )
    if blocking:
        mesh.wait_for_interrupt()
    else:
        mesh.say_at_exit()
    return handle


def status() -> MeshStatus:
    """The mesh of this process, or the one mesh of this user that runs. Raises MeshUnavailable when there is none."""
    if (local := meshes.local()) is not None:
        return local.status()
    mesh = meshes.to_ask()
    from mesh.application_status import MeshStatus

    return MeshStatus.of(mesh.living, mesh.ask(mesh.connection.client.status()))


def list_deployments() -> dict[str, Deployment[Any]]:
    """All deployments by their names; those whose name several applications have, by "application/name".

    Raises :class:`mesh.errors.MeshUnavailable` when no mesh runs.
    """
    from mesh.deployments import stored_deployment
    from mesh.lookup import names_of

    mesh = meshes.asked()
    found = names_of(mesh.applications())
    return {name: stored_deployment(mesh, *one) for name, one in found.items()}


def get_deployment(name: str, application: str | None = None) -> Deployment[Any]:
    """The deployment of that name, to call it, to delete it or to deploy it again, from any process of this user.

    Raises :class:`mesh.errors.DeploymentNotFound`, a KeyError, naming those that there are, and
    :class:`mesh.errors.ConfigError` when several applications have one of that name.
    """
    from mesh.deployments import stored_deployment
    from mesh.lookup import find_deployment

    mesh = meshes.asked()
    return stored_deployment(mesh, *find_deployment(mesh.applications(), name, application))


def delete(name: str) -> None:
    """Take an application away and wait until its replicas have ended what they had begun.

    Raises :class:`mesh.errors.DeploymentNotFound` when there is none of that name, and
    :class:`mesh.errors.MeshUnavailable` when the only mesh is another script's.
    """
    local = own.present()
    if local is not None and (not meshes.is_used() or name in local.application_names):
        local.delete(name)
        return
    from mesh import deploying

    mesh = meshes.to_ask()
    mesh.check_may_deploy()
    deploying.delete(mesh, name)


def shutdown(*, drain: bool = True, keep: bool = False) -> None:
    """End the mesh of this process, or the detached mesh that it would be attached to; without one do nothing.

    With ``drain`` replicas end what they have begun first. A detached mesh forgets what was deployed; with ``keep`` the
    next one of its name takes it up again.
    """
    had_local = own.shutdown(drain)
    if meshes.is_used() or not had_local:
        meshes.shutdown(drain, keep)


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


def _run_local(
    node: DeploymentNode[T],
    name: str,
    route_prefix: str | None,
    blocking: bool,
    http_options: HTTPOptions | None,
    grpc_options: GRPCOptions | None,
) -> DeploymentHandle[T]:
    from mesh.application import application_of

    application = application_of(node, name, route_prefix)
    mesh = own.start(http_options, grpc_options)
    handle: DeploymentHandle[T] = mesh.deploy(application)
    if blocking:
        mesh.wait_for_interrupt()
    return handle


def _check_options(http_options: object, grpc_options: object) -> None:
    if http_options is not None and not isinstance(http_options, HTTPOptions):
        raise TypeError(f"write mesh.HTTPOptions(host=..., port=...) for http_options, not {http_options!r}")
    if grpc_options is not None and not isinstance(grpc_options, GRPCOptions):
        raise TypeError(f"write mesh.GRPCOptions(host=..., port=...) for grpc_options, not {grpc_options!r}")
