"""What a detached mesh keeps over its own end: store, logs and token, in a directory of its name.

The engine holds a lock on a file in it, so one name is never used by two meshes at a time.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from mesh.errors import ConfigError, MeshUnavailable

with suppress(ModuleNotFoundError):  # on Windows, where no mesh runs
    import fcntl

MOST_LOGS = 200
"""Files of logs that are kept from before a detached mesh was started again."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_LOCK = "lock"


def state_directory(name: str) -> Path:
    """Where the detached mesh ``name`` keeps what outlives it; reads XDG_STATE_HOME.

    Raises :class:`ConfigError` for what cannot be the name of a mesh.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a mesh: at most 64 letters of ASCII, digits, underscores, dots and "
            "hyphens are allowed, the first no dot and no hyphen"
        )
    state_home = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state_home) if os.path.isabs(state_home) else Path.home() / ".local" / "state"
    return home / "mesh" / name


def take(path: Path) -> int:
    """Make the directory and lock it; the descriptor holds the lock until it is closed.

    Raises :class:`MeshUnavailable` when a mesh of that name runs, :class:`ConfigError` when it cannot be made.
    """
    try:
        for one in (path.parent.parent, path.parent, path):
            one.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"a detached mesh keeps its store in {path}, which cannot be used: {error.strerror}"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise MeshUnavailable(f"a detached mesh of the name {path.name!r} runs already") from None
    _drop_old_logs(path)
    return lock


def forget(path: Path) -> None:
    """Remove what an ended mesh has kept: the next one of its name starts empty. Nothing, while a mesh holds it."""
    try:
        lock = take(path)
    except MeshUnavailable:
        return
    shutil.rmtree(path, ignore_errors=True)
    os.close(lock)


def _drop_old_logs(path: Path) -> None:
    logs = path / "logs"
    if logs.is_dir():
        by_age = sorted(logs.iterdir(), key=lambda log: log.stat().st_mtime)
        for log in by_age[:-MOST_LOGS]:
            log.unlink()
