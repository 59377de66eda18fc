"""A mesh that this process uses: asking it, waiting for it, ending it.

What is imported here takes as long as a new engine takes to come up, so :mod:`mesh.meshes` boots that first.
"""

from __future__ import annotations

import atexit
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mesh import connect
from mesh.config import Application, ApplicationSpec
from mesh.connect import Connection
from mesh.engine import state_directory
from mesh.engine.found import FoundEngine
from mesh.engine.owner import EngineProcess
from mesh.engine.places import LivingMesh, is_alive, line_to
from mesh.engine.roles import bridge_names
from mesh.errors import MeshUnavailable
from mesh.notices import show
from mesh.reachable import wait_reachable, wait_serving

T = TypeVar("T")


class UsedMesh:
    """A mesh that this process deploys to or asks; ``engine`` is set when this process has started it."""

    def __init__(self, living: LivingMesh, engine: EngineProcess | None = None) -> None:
        self.living = living
        self.engine = engine

    @property
    def connection(self) -> Connection:
        """This process' end of it, made when it is first needed."""
        return connect.connection_to(self.living.run_directory)

    @property
    def is_alive(self) -> bool:
        """It has not ended, by whatever cause."""
        return self.engine.alive if self.engine else is_alive(self.living.run_directory)

    @property
    def ends_with_this_process(self) -> bool:
        """It was started by this process, and not to outlive it."""
        return self.engine is not None and not self.living.detached

    def check_may_deploy(self) -> None:
        """Raises :class:`mesh.errors.MeshUnavailable` for another script's mesh: neither deploy nor delete there."""
        if self.engine is None and not self.living.detached:
            raise MeshUnavailable(
                f"the mesh at port {self.living.port} belongs to {self.living.script} (pid {self.living.pid}) and ends "
                "with it, so what is deployed there is up to that script: it can be asked and called; to deploy, use a "
                "detached mesh (`meshctl start`)"
            )

    @property
    def run_directory(self) -> str:
        """What names it to connections."""
        return self.living.run_directory

    @property
    def url(self) -> str:
        """Where it answers HTTP, without a slash at the end; empty when it does not."""
        return self.living.url

    def applications(self) -> Sequence[ApplicationSpec]:
        """All applications that are wished for."""
        return self.ask(self.connection.client.applications())

    def blobs(self, names: set[str]) -> Mapping[str, bytes]:
        """Pickles that it has stored, by their SHA-256."""
        return self.ask(self.connection.client.blobs(names))

    def ask(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result, or :class:`MeshUnavailable` as soon as the engine has ended."""
        thread = self.connection.loop_thread
        if thread is None:
            coroutine.close()
            raise RuntimeError(
                "this is for scripts: a replica gets the handles that it needs as arguments of its constructor, by bind"
            )
        future = thread.start(coroutine)
        while True:
            try:
                return future.result(0.5)
            except TimeoutError:
                if future.done():
                    raise
                if not self.is_alive:
                    future.cancel()
                    raise MeshUnavailable("the engine of the mesh has ended") from None
            except BaseException:
                future.cancel()
                raise

    def wait_reachable(self, application: Application) -> None:
        """Wait until bridges and door have heard of the application, so that the next line may send it a request."""
        prefix, driver = application.spec.route_prefix, application.spec.driver
        lines = [line_to(self.living.run_directory, name) for name in bridge_names(self.living.bridges)]
        if prefix and lines and not self.ask(wait_reachable(lines, prefix, driver)):
            show(f"{application.spec.name} runs, but HTTP does not answer at {prefix} yet")
        host, port = self.living.grpc_host, self.living.grpc_port
        if port and not self.ask(wait_serving(host, port, application.spec.name)):
            show(f"{application.spec.name} runs, but the door at port {port} does not serve it yet")

    def wait_for_interrupt(self) -> None:
        """Until Ctrl-C. Raises :class:`mesh.errors.MeshUnavailable` when the engine ends before."""
        self.say_nothing_at_exit()
        try:
            if self.engine is not None:
                self.engine.wait()
            else:
                FoundEngine(self.living).wait()
        except KeyboardInterrupt:
            return
        raise MeshUnavailable(f"the engine (pid {self.living.engine_pid}) has ended, and all that it ran with it")

    def say_at_exit(self) -> None:
        """The user has deployed something; when a script's end takes it away, that is said."""
        self.say_nothing_at_exit()
        if self.ends_with_this_process:
            atexit.register(self._say_stopped)

    def say_nothing_at_exit(self) -> None:
        """Nothing is to be said any more."""
        atexit.unregister(self._say_stopped)

    def _say_stopped(self) -> None:
        if self.is_alive:
            show(
                "the script has ended, and its deployments with it; to keep them, run with blocking=True, with "
                "`meshctl run module:node`, or on a mesh of their own: mesh.start(detached=True)"
            )

    def close(self, drain: bool, keep: bool = False) -> None:
        """End it, whoever has started it; ``keep`` leaves what a detached mesh has stored for the next of its name.

        Raises :class:`mesh.errors.MeshUnavailable` for the mesh of another script.
        """
        if self.engine is None and not self.living.detached:
            raise MeshUnavailable(f"the {self.living} ends with that script: end the script")
        self.say_nothing_at_exit()
        connect.disconnect_from(self.living.run_directory)
        if self.engine is not None:
            self.engine.stop(drain)
        else:
            FoundEngine(self.living).stop(drain)
        if self.living.state_directory and not keep:
            state_directory.forget(Path(self.living.state_directory))
