"""What the controller keeps over its own death: rows in SQLite and blobs beside it.

A write names the revision that it was decided on, and fails when the store has another (compare-and-set), so that a
store that several controllers share can take its place. SQLite is used by one connection in one thread.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from mesh.controller.blobs import BlobFolder
from mesh.errors import MeshError

Key = tuple[str, str]

FORMAT = 1
"""How the rows are laid out, as the file's ``user_version``; 0 is that of stores from before it was written down."""

P = ParamSpec("P")
T = TypeVar("T")


class StoreTaken(MeshError):
    """Another controller holds the store; two of them would undo each other's work."""


class StoreUnusable(MeshError):
    """The store cannot be read by this version of mesh; it is left as it is."""


class StoreConflict(MeshError):
    """The store has changed since it was read: somebody writes beside this controller."""


class StoreUnwritable(MeshError):
    """Nothing can be written: the disk is full, or descriptors have run out. The store is as it was."""

    grpc_code = "FAILED_PRECONDITION"


class Store:
    """The rows and blobs in ``folder``; opened with :meth:`open`, used by one task, closed with :meth:`close`."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.blob_directory = folder / "blobs"
        self._lock = lock
        self._blobs = BlobFolder(self.blob_directory)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._connection: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, folder: Path) -> Store:
        """Takes the store's lock; raises :class:`StoreTaken` when another controller has it.

        Raises :class:`StoreUnusable` for one that is corrupt, or that a newer version of mesh has written.
        """
        store = cls(folder, _take_lock(folder))
        try:
            await store._in_thread(store._connect, folder / "state.sqlite")
        except BaseException:
            await store.close()
            raise
        return store

    async def load(self) -> tuple[int, dict[Key, bytes]]:
        """The revision of the store and all its rows."""
        return await self._in_thread(self._load)

    async def save(
        self, expected_revision: int, changes: Mapping[Key, bytes | None], blobs: Mapping[str, bytes]
    ) -> int:
        """Writes rows (None removes one) and the blobs that they name; gives the new revision once it is on disk.

        Raises :class:`StoreConflict` when the store's revision is not ``expected_revision``, and
        :class:`StoreUnwritable` when it takes nothing at the moment; then nothing has changed.
        """
        try:
            return await self._in_thread(self._save, expected_revision, changes, blobs)
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreUnwritable(f"the store in {self.blob_directory.parent} cannot be written: {error}") from error

    async def keep_only_blobs(self, names: Set[str]) -> None:
        """Removes all blobs but these."""
        await self._in_thread(self._blobs.keep_only, names)

    async def read_blobs(self, names: Set[str]) -> dict[str, bytes]:
        """The content of blobs that are there."""
        return await self._in_thread(self._blobs.read, names)

    async def close(self) -> None:
        """Gives the lock back."""
        if self._connection is not None:
            await self._in_thread(self._connection.close)
        self._thread.shutdown()
        os.close(self._lock)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def _connect(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        # It has the folder's lock, so it needs no file of shared memory, for which a full disk has no room.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        found = self._check_usable()  # before anything is written
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS rows (kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, name))"
        )
        self._connection.execute("CREATE TABLE IF NOT EXISTS revision (value INTEGER NOT NULL)")
        if found != FORMAT:  # this is written always, and a store must open on a disk that is full
            self._connection.execute(f"PRAGMA user_version = {FORMAT}")
        self._connection.execute("INSERT INTO revision SELECT 1 WHERE NOT EXISTS (SELECT * FROM revision)")

    def _check_usable(self) -> int:
        """The format of the file."""
        assert self._connection is not None
        try:
            (found,) = self._connection.execute("PRAGMA user_version").fetchone()
            (health,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError:
            raise  # not the file's fault: it cannot be opened just now
        except sqlite3.DatabaseError as error:
            raise unusable(self.folder, str(error)) from None
        if health != "ok":
            raise unusable(self.folder, health)
        if found > FORMAT:
            raise StoreUnusable(
                f"the store {self.folder} was written by a newer version of mesh (format {found}, this one knows up to "
                f"{FORMAT}) and is left as it is: use that version, or move the folder away to begin anew"
            )
        return int(found)

    def _load(self) -> tuple[int, dict[Key, bytes]]:
        assert self._connection is not None
        (revision,) = self._connection.execute("SELECT value FROM revision").fetchone()
        rows = self._connection.execute("SELECT kind, name, value FROM rows").fetchall()
        return revision, {(kind, name): value for kind, name, value in rows}

    def _save(self, expected_revision: int, changes: Mapping[Key, bytes | None], blobs: Mapping[str, bytes]) -> int:
        new = self._blobs.write(blobs)  # before the rows that name them
        try:
            return self._save_rows(expected_revision, changes)
        except BaseException:
            self._blobs.remove(new)
            raise

    def _save_rows(self, expected_revision: int, changes: Mapping[Key, bytes | None]) -> int:
        connection = self._connection
        assert connection is not None
        puts = [(*key, value) for key, value in changes.items() if value is not None]
        removals = [key for key, value in changes.items() if value is None]
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            update = "UPDATE revision SET value = value + 1 WHERE value = ?"
            if connection.execute(update, (expected_revision,)).rowcount != 1:
                raise StoreConflict(f"the store is no longer at revision {expected_revision}")
            connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", puts)
            connection.executemany("DELETE FROM rows WHERE kind = ? AND name = ?", removals)
        return expected_revision + 1


def unusable(folder: Path, why: str) -> StoreUnusable:
    """The error for a store that is corrupt."""
    return StoreUnusable(
        f"the store {folder} is corrupt and is left as it is ({why}): put a copy of it in its place, or move the "
        "folder away to begin with nothing deployed"
    )


def _take_lock(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreTaken(f"another controller works on the store {folder}") from None
    return lock
