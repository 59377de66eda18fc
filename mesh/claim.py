"""One process at a time deploys an application: a claim on it, which the kernel lets go when its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mesh.errors import DeployInProgress


@contextmanager
def claimed(run_directory: str, application: str, who: str) -> Iterator[None]:
    """While inside, nobody else deploys ``application`` on that mesh; ``who`` is what others are told meanwhile.

    Raises :class:`mesh.errors.DeployInProgress`, with who it is, when somebody is deploying it.
    """
    path = Path(run_directory, f"deploying-{application}")
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 4096, 0).decode(errors="replace") or "somebody else"
            raise DeployInProgress(
                f"application {application!r} is being deployed by {holder} right now; "
                "nothing was changed: try again when that has ended"
            ) from None
        os.truncate(descriptor, 0)
        with suppress(OSError):  # a full disk takes the name, not the claim
            os.pwrite(descriptor, who.encode(errors="replace"), 0)
        yield
    finally:
        os.close(descriptor)
