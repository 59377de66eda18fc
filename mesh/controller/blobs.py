"""Pickled code and arguments as files, each named by its SHA-256; replicas read them from there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from pathlib import Path


class BlobFolder:
    """The files of one mesh; never changed once they are there. Blocking: the store calls it in its thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, blobs: Mapping[str, bytes]) -> Set[str]:
        """Writes those that are not there yet, and gives their names; after an error none of them is there.

        A file is there whole or not at all, also after a power cut.
        """
        new = {name for name in blobs if not (self.path / name).exists()}
        try:
            for name in new:
                self._write(name, blobs[name])
        except BaseException:
            self.remove(new)  # what is left of it would keep a full disk full
            raise
        return new

    def remove(self, names: Set[str]) -> None:
        """Removes what there is of these."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)
            self._unfinished(name).unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        unfinished = self._unfinished(name)
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.path / name)

    def _unfinished(self, name: str) -> Path:
        return self.path / f"{name}.unfinished"

    def read(self, names: Set[str]) -> dict[str, bytes]:
        """The content of each, which must be there."""
        return {name: (self.path / name).read_bytes() for name in names}

    def keep_only(self, names: Set[str]) -> None:
        """Removes all others."""
        for path in self.path.iterdir():
            if path.name not in names:
                path.unlink()
