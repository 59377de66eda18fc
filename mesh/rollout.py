"""Waiting for what was applied: shows what the user has to know meanwhile, says why when it does not come up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

from mesh.application_status import ApplicationStatus, Phase
from mesh.client import ControllerClient
from mesh.errors import DeployFailed
from mesh.v1 import controller_pb2 as pb

FIRST_PROGRESS_S = 3.0
"""After this long without an end, and again each time it has passed, one line says what is still starting."""

Show = Callable[[str], object]
OnProgress = Callable[[ApplicationStatus], object]


async def wait_running(
    client: ControllerClient, name: str, revision: int, show: Show, on_progress: OnProgress | None = None
) -> ApplicationStatus:
    """Wait until the application ``name``, as stored at ``revision``, runs; ``show`` takes lines for people.

    ``on_progress`` gets every status of it, and then no line says what is still starting.

    Raises :class:`mesh.errors.DeployFailed` with the user's traceback when it does not come up.
    """
    shown: dict[str, int] = {}
    async for application in _statuses(client, name, revision, _no_line if on_progress else show):
        if application is None:
            raise DeployFailed(f"application {name!r} was deleted while it was being deployed")
        if on_progress is not None:
            on_progress(application)
        if application.phase is Phase.RUNNING:
            return application
        if application.phase is Phase.DEPLOY_FAILED:
            raise DeployFailed(_why(application))
        for deployment in application.deployments:
            if deployment.failed_starts > shown.get(deployment.name, 0):
                shown[deployment.name] = deployment.failed_starts
                reason = deployment.message.partition("\n")[0]  # the replica has printed its traceback itself
                show(f"{deployment.name} did not start (try {deployment.failed_starts}): {reason}")
    raise DeployFailed(f"the mesh ended while {name!r} was being deployed")


def _no_line(line: str) -> None:
    """Somebody shows the progress in a better way."""


async def wait_deleted(client: ControllerClient, name: str, revision: int, show: Show) -> None:
    """Wait until nothing of the application is left, or somebody has deployed another one of its name."""
    async for application in _statuses(client, name, revision, show):
        if application is None or application.phase is not Phase.DELETING:
            return


async def _statuses(
    client: ControllerClient, name: str, revision: int, show: Show
) -> AsyncGenerator[ApplicationStatus | None, None]:
    """The application's status after every change from ``revision`` on, None when it is gone; shows progress."""
    statuses = client.watch_status()
    latest: ApplicationStatus | None = None
    following: asyncio.Future[pb.Status] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(statuses))
            while not (await asyncio.wait((following,), timeout=FIRST_PROGRESS_S))[0]:
                if latest is not None:
                    show(_progress(latest))
            status = following.result()
            if status.revision < revision:
                continue
            found = [application for application in status.applications if application.name == name]
            latest = ApplicationStatus.from_proto(found[0]) if found else None
            yield latest
    except StopAsyncIteration:
        return
    finally:
        if following is not None:  # it may be waiting in the generator, which cannot be closed then
            following.cancel()
            await asyncio.wait((following,))
        await statuses.aclose()


def _progress(application: ApplicationStatus) -> str:
    waiting = [
        f"{deployment.name} ({sum(r.state == 'RUNNING' for r in deployment.replicas)} of {deployment.num_replicas})"
        for deployment in application.deployments
        if deployment.phase is not Phase.RUNNING
    ]
    return (
        f"{application.name}: still waiting for replicas of {', '.join(waiting) or 'the replaced deployments to end'}"
    )


def _why(application: ApplicationStatus) -> str:
    failed = [d for d in application.deployments if d.phase is Phase.DEPLOY_FAILED]
    reasons = "\n".join(f"{deployment.name}: {deployment.message}" for deployment in failed) or application.message
    return f"application {application.name!r} does not come up\n{reasons}"
