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

    def write(self, blobs: Mapping[str, bytes]) -> None:
        """Writes those that are not there yet; a file is there whole or not at all, also after a power cut."""
        for name, content in blobs.items():
            if (self.path / name).exists():
                continue
            unfinished = self.path / f"{name}.unfinished"
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path / name)

    def read(self, names: Set[str]) -> dict[str, bytes]:
        """The content of each, which must be there."""
        return {name: (self.path / name).read_bytes() for name in names}

    def keep_only(self, names: Set[str]) -> None:
        """Removes all others."""
        for path in self.path.iterdir():
            if path.name not in names:
                path.unlink()
