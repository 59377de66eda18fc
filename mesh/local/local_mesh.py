"""The local mesh as the public functions see it: from threads that run no loop of ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from mesh import connect
from mesh.application_status import MeshStatus
from mesh.config import Application, ApplicationSpec
from mesh.engine.listeners import bind
from mesh.errors import ConfigError
from mesh.handle import DeploymentHandle
from mesh.local.applications import LocalApplications
from mesh.loops import LoopThread


class LocalMesh:
    """The mesh inside this process: a loop in a thread of its own, and what runs there. Used from other threads."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        self._applications = self._thread.run(_made_on_loop(self._thread))
        self._url = ""
        self._place: tuple[str, int] | None = None
        self.connection = self._applications.connection
        connect.use(self.connection)

    def deploy(self, application: Application) -> DeploymentHandle:
        """Build all replicas of an application, then let it take the place of the one of its name.

        Raises :class:`mesh.errors.DeployFailed` with the user's traceback, :class:`mesh.errors.ConfigError` for a route
        that is taken.
        """
        self._thread.run(self._applications.run(application))
        spec = application.spec
        return DeploymentHandle(spec.name, spec.driver, run_directory=self.connection.run_directory)

    def wait_for_interrupt(self) -> None:
        """Until Ctrl-C."""
        with suppress(KeyboardInterrupt):
            threading.Event().wait()

    def delete(self, name: str) -> None:
        """Drain an application. Raises :class:`mesh.errors.DeploymentNotFound`."""
        self._thread.run(self._applications.delete(name))

    def listen(self, host: str, port: int) -> None:
        """Answer HTTP as well, at a port of this process; port 0 takes any free one, and :meth:`status` says which.

        Raises :class:`mesh.errors.ConfigError` when it answers at another place already.
        """
        if self._place is not None:
            if self._place != (host, port):
                raise ConfigError(f"the mesh of this process answers HTTP at {self._url} already, not at {host}:{port}")
            return
        listeners = bind(host, port)
        self._place = (host, port)
        self._thread.run(self._applications.listen(listeners))
        self._url = f"http://{host}:{listeners[0].getsockname()[1]}/"

    @property
    def run_directory(self) -> str:
        """What names it to connections; it has no directory."""
        return self.connection.run_directory

    @property
    def url(self) -> str:
        """Where it answers HTTP, without a slash at the end; empty when it does not."""
        return self._url.rstrip("/")

    def applications(self) -> Sequence[ApplicationSpec]:
        """All applications that run here."""
        return self._applications.specs()

    def blobs(self, names: set[str]) -> Mapping[str, bytes]:
        """Pickles of theirs, by their SHA-256."""
        return self._applications.blobs(names)

    @property
    def application_names(self) -> tuple[str, ...]:
        """The applications that run here."""
        return tuple(spec.name for spec in self.applications())

    def status(self) -> MeshStatus:
        """What runs here; engine and owner are this process."""
        pid, applications = os.getpid(), self._applications.statuses()
        bridges = int(bool(self._url))
        return MeshStatus(self._url, pid, pid, self.connection.run_directory, applications, bridges=bridges)

    def close(self, drain: bool) -> None:
        """End everything; with ``drain``, what has begun first."""
        self._thread.run(self._applications.close(drain))
        connect.disconnect(self.connection)


async def _made_on_loop(thread: LoopThread) -> LocalApplications:
    return LocalApplications(thread)
