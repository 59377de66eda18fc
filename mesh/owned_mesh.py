"""The mesh that this process started: deploying to it, waiting for it, ending it.

What is imported here takes as long as a new engine takes to come up, so :mod:`mesh.api` boots that first.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from mesh import connect, rollout
from mesh.config import Application
from mesh.engine.owner import BootedEngine, EngineOptions, EngineProcess
from mesh.engine.places import LivingMesh
from mesh.errors import DeployFailed, MeshUnavailable
from mesh.handle import DeploymentHandle
from mesh.loops import LoopThread
from mesh.reachable import wait_reachable, wait_serving

if TYPE_CHECKING:
    from mesh.api import GRPCOptions, HTTPOptions

T = TypeVar("T")


class OwnedMesh:
    """The mesh that this process started."""

    def __init__(self, http_options: HTTPOptions, grpc_options: GRPCOptions, booted: BootedEngine) -> None:
        self.http_options = http_options
        self.grpc_options = grpc_options
        self.engine: EngineProcess = booted.start(
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

    def deploy(self, application: Application) -> DeploymentHandle:
        """Apply an application and wait until it runs; one that is new and does not come up is taken away again."""
        name, client = application.spec.name, self.connection.client
        is_new = not self._has_application(name)
        revision = self.connection.run(client.apply(application))
        try:
            self._wait(rollout.wait_running(client, name, revision, _show))
            self._wait_reachable(application)
        except DeployFailed:
            if is_new:
                self.delete(name)
            raise
        return DeploymentHandle(name, application.spec.driver, run_directory=self.connection.run_directory)

    def _has_application(self, name: str) -> bool:
        status_now = self.connection.run(self.connection.client.status())
        return any(application.name == name for application in status_now.applications)

    def delete(self, name: str) -> None:
        """Take an application away and wait until nothing of it is left."""
        client = self.connection.client
        revision = self.connection.run(client.delete(name))
        self._wait(rollout.wait_deleted(client, name, revision, _show))

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
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

    def _wait_reachable(self, application: Application) -> None:
        """Wait until bridge and door have heard of the application, so that the next line may send it a request."""
        prefix, driver = application.spec.route_prefix, application.spec.driver
        host, port = self.http_options.host, self.engine.port
        if prefix and port and not self._wait(wait_reachable(host, port, prefix, driver)):
            _show(f"{application.spec.name} runs, but HTTP does not answer at {prefix} yet")
        host, port = self.grpc_options.host, self.engine.grpc_port
        if port and not self._wait(wait_serving(host, port, application.spec.name)):
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


def _show(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"mesh: {text}\n")
        sys.stderr.flush()
