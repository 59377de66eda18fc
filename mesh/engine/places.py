"""Where the files of a mesh are: one run directory each, below a directory that only this user can enter.

The engine holds a lock on a file of its run directory for as long as it lives. So a process id that was given to
somebody else misleads nobody, and what a killed mesh left is known by its free lock.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mesh.engine import state_directory as state
from mesh.errors import ConfigError

with suppress(ModuleNotFoundError):  # on Windows, where no mesh runs: handles, which can be bound there, import this
    import fcntl

LONGEST_RUN_DIRECTORY = 78
"""Bytes: a socket's path has at most 107, and the names of sockets in it have up to 28."""

_LOCK = "lock"
_CARD = "mesh.json"
_TOKEN = "token"  # noqa: S105 - the name of a file


@dataclass(frozen=True, slots=True)
class LivingMesh:
    """What a mesh tells about itself to this user's other processes.

    ``pid`` is the owner's (of a detached mesh: of whoever started it), ``port`` is 0 without HTTP,
    ``grpc_port`` without a door; ``bridges`` share ``port``. A detached mesh has a ``name`` and a ``state_directory``.
    """

    pid: int
    script: str
    host: str
    port: int
    run_directory: str
    version: str
    engine_pid: int = 0
    detached: bool = False
    grpc_host: str = ""
    grpc_port: int = 0
    name: str = ""
    state_directory: str = ""
    bridges: int = 0

    @property
    def url(self) -> str:
        """Where HTTP answers, without a slash at the end; empty without HTTP."""
        return f"http://{self.host}:{self.port}" if self.port else ""

    def __str__(self) -> str:
        who = f"detached mesh {self.name!r}" if self.detached else f"mesh of {self.script}"
        where = f", port {self.port}" if self.port else ""
        return f"{who} (pid {self.engine_pid if self.detached else self.pid}{where})"


class RunDirectory:
    """The run directory of the mesh whose engine this process is."""

    def __init__(self, path: Path, token: str, locks: tuple[int, ...]) -> None:
        self.path = path
        self.token = token
        self._locks = locks

    @classmethod
    def create(cls, state_directory: str = "") -> RunDirectory:
        """A new one, with its token, known as living from now on; what dead ones left is removed.

        Store, logs and token are in ``state_directory`` if there is one, which has to be free; then they outlive it.
        """
        state_locks = (state.take(Path(state_directory)),) if state_directory else ()
        parent = _parent()
        with _locked(parent):
            _sweep(parent)
            path = parent / secrets.token_hex(4)
            path.mkdir(mode=0o700)
            lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        kept = Path(state_directory) if state_directory else path
        for name in ("store", "store/blobs", "logs"):
            (kept / name).mkdir(mode=0o700, exist_ok=bool(state_directory))
        token = secrets.token_hex(32)
        _write(kept / _TOKEN, token)
        for name in ("store", "logs", _TOKEN) if state_directory else ():
            (path / name).symlink_to(kept / name)
        return cls(path, token, (lock, *state_locks))

    def line(self, bridge: str) -> str:
        """The unix socket by which that bridge is asked and no other."""
        return line_to(str(self.path), bridge)

    def publish(self, mesh: LivingMesh) -> None:
        """Makes the mesh known to :func:`living`."""
        card = asdict(mesh)
        del card["run_directory"]
        _write(self.path / _CARD, json.dumps(card))

    def remove(self) -> None:
        """Takes it away, with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        for lock in self._locks:
            os.close(lock)


def sweep() -> None:
    """Removes what meshes left that were killed."""
    parent = _parent()
    with _locked(parent):
        _sweep(parent)


def living() -> list[LivingMesh]:
    """The meshes of this user whose engine lives, those that are still starting left out."""
    parent = _parent()
    with _locked(parent):
        found = [_read_card(path) for path in _run_directories(parent) if not _is_dead(path)]
    return [mesh for mesh in found if mesh is not None]


def is_alive(run_directory: str) -> bool:
    """The engine of that mesh runs."""
    return not _is_dead(Path(run_directory))


def line_to(run_directory: str, bridge: str) -> str:
    """The unix socket by which one bridge of that mesh is asked and no other."""
    return f"{run_directory}/{bridge}.sock"


def read_token(run_directory: str) -> str:
    """The token that every call to the processes of that mesh has to carry."""
    return (Path(run_directory) / _TOKEN).read_text()


def _parent() -> Path:
    """``mesh-<uid>`` in the temporary directory, or in /tmp where the path of a socket would become too long."""
    name = f"mesh-{os.getuid()}"
    parent = Path(tempfile.gettempdir()) / name
    if len(os.fsencode(parent)) + 9 > LONGEST_RUN_DIRECTORY:
        parent = Path("/tmp") / name  # noqa: S108 - checked below to be ours alone
    with suppress(FileExistsError):
        parent.mkdir(mode=0o700)
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigError(
            f"{parent} must be a directory of user {os.getuid()} that nobody else can enter (mode 0700); "
            "remove it, or set TMPDIR to another directory"
        )
    return parent


@contextmanager
def _locked(parent: Path) -> Iterator[None]:
    """Between making a run directory and locking it, nobody may look and take it for a dead one."""
    lock = os.open(parent / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _run_directories(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.is_symlink())


def _sweep(parent: Path) -> None:
    for path in _run_directories(parent):
        if _is_dead(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_dead(path: Path) -> bool:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who ask at once do not mistake each other for it
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _read_card(path: Path) -> LivingMesh | None:
    try:
        card = json.loads((path / _CARD).read_text())
        known = {field.name for field in fields(LivingMesh)}  # another version of mesh may know more
        return LivingMesh(**{name: value for name, value in card.items() if name in known}, run_directory=str(path))
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None  # it starts just now, or nobody knows what wrote it


def _write(path: Path, text: str) -> None:
    """Readers see the whole file or none; only this user can read it."""
    draft = path.with_name(f".{path.name}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
