"""The public functions: start a mesh, run a graph on it, look at it, end it.

One process owns at most one mesh. What it runs ends with it, by whatever way it ends.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import cloudpickle

from mesh import connect, context, rollout
from mesh.application_status import ApplicationStatus, MeshStatus
from mesh.config import Application, Runtime
from mesh.connect import Connection
from mesh.dag.build import build
from mesh.dag.execute import Plan
from mesh.dag.nodes import DeploymentNode
from mesh.drivers import GraphHandle
from mesh.engine.owner import EngineOptions, EngineProcess, start_engine
from mesh.engine.places import LivingMesh, living
from mesh.errors import ConfigError, DeployFailed, MeshUnavailable, NotSupportedYet
from mesh.handle import DeploymentHandle
from mesh.loops import LoopThread
from mesh.reachable import wait_reachable, wait_serving
from mesh.response import value_of
from mesh.target import encode_target

if TYPE_CHECKING:
    from mesh.local import LocalMesh

T = TypeVar("T")


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

    ``local=True`` is a mesh inside this process, see :func:`run`; it answers HTTP only with ``http_options``.

    Without ``grpc_options`` the door listens at port 9000, or, when HTTP takes any free port, at any free one;
    :func:`status` says where.

    Raises :class:`mesh.errors.MeshUnavailable` when the port is busy, naming the other mesh when it is one, and
    :class:`mesh.errors.ConfigError` when this process has a mesh with other options.
    """
    if detached:
        raise NotSupportedYet("start(detached=True) is not supported yet: a mesh ends with the script that started it")
    if os.environ.get("MESH_ADDRESS"):
        raise NotSupportedYet("MESH_ADDRESS is not supported yet: a script runs on the mesh that it starts itself")
    if http_options is not None and not isinstance(http_options, HTTPOptions):
        raise TypeError(f"write mesh.HTTPOptions(host=..., port=...) for http_options, not {http_options!r}")
    if grpc_options is not None and not isinstance(grpc_options, GRPCOptions):
        raise TypeError(f"write mesh.GRPCOptions(host=..., port=...) for grpc_options, not {grpc_options!r}")
    if _is_local(local):
        _start_local(http_options)
        return
    global _owned
    with _lock:
        if _owned is not None and _owned.engine.alive:
            for wished, present in ((http_options, _owned.http_options), (grpc_options, _owned.grpc_options)):
                if wished is not None and wished != present:
                    raise ConfigError(
                        f"this process runs a mesh with {present} already; "
                        f"call mesh.shutdown() before starting one with {wished}"
                    )
            return
        _refuse_in_replica()
        http_options = http_options or HTTPOptions()
        _owned = _OwnedMesh(http_options, grpc_options or GRPCOptions(port=9000 if http_options.port else 0))


def run(
    node: DeploymentNode,
    *,
    name: str = "default",
    route_prefix: str | None = "/",
    blocking: bool = False,
    http_options: HTTPOptions | None = None,
    grpc_options: GRPCOptions | None = None,
    local: bool | None = None,
) -> DeploymentHandle:
    """Deploy a node with all that it depends on, as the application ``name``, and return a handle to it when it runs.

    An application of that name is replaced: the new one comes up first, what did not change keeps its replicas.
    ``route_prefix`` is its place in HTTP, None for no place. With ``blocking`` it returns on Ctrl-C only.
    ``http_options`` and ``grpc_options`` are for :func:`start`, where this process has no mesh yet.

    ``local=True`` runs it in this process, for tests: the same handles, graphs, streams, deadlines and errors, and no
    other process. HTTP only when ``http_options`` are given. None takes what the environment variable ``MESH_LOCAL``
    says ("1" = local), and False without it.

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when a replica does not start,
    :class:`mesh.errors.ConfigError` and :class:`TypeError` for what cannot be run.
    """
    _refuse_in_replica()
    application = _build(node, name, route_prefix)  # what cannot be run starts nothing
    if _is_local(local):
        return _run_local(application, blocking, http_options)
    start(http_options=http_options, grpc_options=grpc_options)
    mesh = _own()
    connection = mesh.connection
    is_new = not _has_application(connection, name)
    revision = connection.run(connection.client.apply(application))
    try:
        mesh.wait(rollout.wait_running(connection.client, name, revision, _show))
        mesh.wait_reachable(application)
    except DeployFailed:
        if is_new:
            delete(name)
        raise
    handle = DeploymentHandle(name, application.spec.driver, run_directory=connection.run_directory)
    if blocking:
        mesh.wait_for_interrupt()
    else:
        mesh.say_at_exit()
    return handle


def status() -> MeshStatus:
    """The mesh of this process, or the one mesh of this user that runs. Raises MeshUnavailable when there is none."""
    if _owned is None and _local is not None:
        return _local.status()
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
    if _local is not None and name in _local.application_names:
        _local.delete(name)
        return
    mesh = _own()
    client = mesh.connection.client
    revision = mesh.connection.run(client.delete(name))
    mesh.wait(rollout.wait_deleted(client, name, revision, _show))


def shutdown(*, drain: bool = True) -> None:
    """End the mesh of this process; with ``drain`` replicas end what they have begun first. Without one do nothing."""
    global _owned, _local
    with _lock:
        mesh, _owned = _owned, None
        local, _local = _local, None
    if mesh is not None:
        mesh.close(drain)
    if local is not None:
        local.close(drain)


def get(ref: Any, timeout_s: float | None = None) -> Any:
    """The value of a ref or a response; of a list of them, nested too, a list of values; anything else is itself.

    Waits at most ``timeout_s`` seconds. In a ``def`` method of a deployment it gives the turn away while it waits; in
    an ``async def`` it raises RuntimeError: write ``await ref``.
    """
    return value_of(ref, timeout_s)


def get_deployment(name: str) -> NoReturn:
    """Not in this version."""
    raise NotSupportedYet(f"get_deployment({name!r}) is not supported yet: keep the handle that mesh.run returned")


def list_deployments() -> NoReturn:
    """Not in this version."""
    raise NotSupportedYet("list_deployments() is not supported yet: mesh.status() lists all deployments")


def ingress(app: Any) -> NoReturn:
    """Not in this version."""
    raise NotSupportedYet("@mesh.ingress is not supported yet: answer requests in __call__")


class _OwnedMesh:
    """The mesh that this process started."""

    def __init__(self, http_options: HTTPOptions, grpc_options: GRPCOptions) -> None:
        self.http_options = http_options
        self.grpc_options = grpc_options
        self.engine: EngineProcess = start_engine(
            EngineOptions(
                host=http_options.host,
                port=http_options.port,
                grpc_host=grpc_options.host,
                grpc_port=grpc_options.port,
            )
        )
        self.connection = connect.connection_to(self.engine.run_directory)
        connect.use(self.connection)

    @property
    def living(self) -> LivingMesh:
        engine = self.engine
        return LivingMesh(
            pid=os.getpid(),
            script=sys.argv[0],
            host=self.http_options.host,
            port=engine.port,
            run_directory=engine.run_directory,
            version="",
            engine_pid=engine.pid,
            grpc_host=self.grpc_options.host,
            grpc_port=engine.grpc_port,
        )

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, or an error as soon as the engine has ended."""
        future = self._thread.start(coroutine)
        while True:
            try:
                return future.result(0.5)
            except TimeoutError:
                if future.done():
                    raise
                if not self.engine.alive:
                    future.cancel()
                    raise MeshUnavailable("the engine of the mesh has ended") from None
            except BaseException:
                future.cancel()
                raise

    def wait_reachable(self, application: Application) -> None:
        """Wait until bridge and door have heard of the application, so that the next line may send it a request."""
        prefix, driver = application.spec.route_prefix, application.spec.driver
        host, port = self.http_options.host, self.engine.port
        if prefix and port and not self.wait(wait_reachable(host, port, prefix, driver)):
            _show(f"{application.spec.name} runs, but HTTP does not answer at {prefix} yet")
        host, port = self.grpc_options.host, self.engine.grpc_port
        if port and not self.wait(wait_serving(host, port, application.spec.name)):
            _show(f"{application.spec.name} runs, but the door at port {port} does not serve it yet")

    @property
    def _thread(self) -> LoopThread:
        assert self.connection.loop_thread is not None
        return self.connection.loop_thread

    def wait_for_interrupt(self) -> None:
        """Until Ctrl-C. Raises :class:`mesh.errors.MeshUnavailable` when the engine ends before."""
        self.say_nothing_at_exit()
        try:
            self.engine.wait()
        except KeyboardInterrupt:
            return
        raise MeshUnavailable(f"the engine (pid {self.engine.pid}) has ended, and all that it ran with it")

    def say_at_exit(self) -> None:
        """The user has deployed something that a script's end takes away."""
        self.say_nothing_at_exit()
        atexit.register(self._say_stopped)

    def say_nothing_at_exit(self) -> None:
        atexit.unregister(self._say_stopped)

    def _say_stopped(self) -> None:
        if self.engine.alive:
            _show(
                "the script has ended, and its deployments with it; "
                "to keep them, run with blocking=True, or with `meshctl run module:node`"
            )

    def close(self, drain: bool) -> None:
        self.say_nothing_at_exit()
        connect.disconnect(self.connection)
        self.engine.stop(drain)


def _is_local(local: bool | None) -> bool:
    if local is None:
        return os.environ.get("MESH_LOCAL", "") not in ("", "0")
    return local


def _start_local(http_options: HTTPOptions | None) -> LocalMesh:
    global _local
    with _lock:
        _refuse_in_replica()
        if _local is None:
            from mesh.local import LocalMesh  # what a replica is made of, which a mesh of processes has elsewhere

            _local = LocalMesh()
        if http_options is not None and not _local.status().url:
            _local.listen(http_options.host, http_options.port)
        return _local


def _run_local(application: Application, blocking: bool, http_options: HTTPOptions | None) -> DeploymentHandle:
    mesh = _start_local(http_options)
    mesh.run(application)
    if blocking:
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
    return DeploymentHandle(application.spec.name, application.spec.driver, run_directory=mesh.connection.run_directory)


_local: LocalMesh | None = None
_owned: _OwnedMesh | None = None
_lock = threading.RLock()


def _own() -> _OwnedMesh:
    if _owned is None or not _owned.engine.alive:
        raise MeshUnavailable("this process has no mesh: call mesh.run or mesh.start first")
    return _owned


def _owned_or_living() -> LivingMesh:
    if _owned is not None:
        return _own().living
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


def _build(node: DeploymentNode, name: str, route_prefix: str | None) -> Application:
    return build(
        node,
        name=name,
        route_prefix=route_prefix,
        runtime=Runtime(sys.executable, tuple(sys.path), os.getcwd()),
        dump=cloudpickle.dumps,
        encode_target=encode_target,
        make_handle=_handle_inside,
        make_graph=lambda plan: _graph_inside(name, plan),
    )


def _handle_inside(application: str, deployment: str) -> DeploymentHandle:
    """A handle that calls on the mesh of whatever process it arrives in, so that its pickle is always the same."""
    return DeploymentHandle(application, deployment, run_directory="")


def _graph_inside(application: str, plan: Plan) -> GraphHandle:
    return GraphHandle(plan, {name: _handle_inside(application, name) for name in plan.deployments})


def _has_application(connection: Connection, name: str) -> bool:
    status_now = connection.run(connection.client.status())
    return any(application.name == name for application in status_now.applications)


def _show(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"mesh: {text}\n")
        sys.stderr.flush()
