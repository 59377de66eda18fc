"""What people see while replicas start: a line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.application_status import ApplicationStatus
    from mesh.rollout import OnProgress


@contextmanager
def shown_progress(application: str) -> Iterator[OnProgress | None]:
    """What :func:`mesh.deploying.deploy` takes as ``on_progress``; None where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{application}: starting") as line:
        yield lambda status: line.update(describe(status))


def describe(application: ApplicationStatus) -> str:
    """One line: which deployments are there, and which are still to come."""
    parts = [
        f"{deployment.name} {sum(replica.state == 'RUNNING' for replica in deployment.replicas)}"
        f"/{deployment.num_replicas}"
        for deployment in application.deployments
    ]
    return f"{application.name}: {', '.join(parts)}"
