from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.engine import places
from mesh.engine.places import LivingMesh, RunDirectory, living, read_token
from mesh.errors import ConfigError, MeshUnavailable


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the run directories are; the path is short, as it has to be."""
    path = tempfile.mkdtemp(prefix="mt-", dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", path)
    yield Path(path) / f"mesh-{os.getuid()}"
    shutil.rmtree(path)


def mesh_at(directory: RunDirectory) -> LivingMesh:
    return LivingMesh(
        pid=1, script="/a.py", host="localhost", port=8000, run_directory=str(directory.path), version="0.1.0"
    )


def test_a_mesh_is_known_while_its_engine_lives() -> None:
    directory = RunDirectory.create()
    assert living() == [], "it is still starting"

    directory.publish(mesh_at(directory))
    assert living() == [mesh_at(directory)]

    directory.remove()
    assert living() == []
    assert not directory.path.exists()


def test_only_this_user_can_enter_or_read(parent: Path) -> None:
    directory = RunDirectory.create()
    directory.publish(mesh_at(directory))

    for path in (parent, directory.path, directory.path / "store" / "blobs", directory.path / "logs"):
        assert path.stat().st_mode & 0o777 == 0o700
    for name in ("token", "mesh.json", "lock"):
        assert (directory.path / name).stat().st_mode & 0o777 == 0o600
    directory.remove()


def test_two_meshes_share_neither_directory_nor_token() -> None:
    one, other = RunDirectory.create(), RunDirectory.create()

    assert one.path != other.path
    assert one.token != other.token
    assert read_token(str(one.path)) == one.token
    assert len(one.token) == 64
    one.remove()
    other.remove()


def test_what_a_dead_engine_left_is_swept_and_a_living_one_kept() -> None:
    alive, dead = RunDirectory.create(), RunDirectory.create()
    dead.publish(mesh_at(dead))
    os.close(dead._locks[0])  # what the kernel does when the engine dies
    assert living() == []

    RunDirectory.create().remove()

    assert not dead.path.exists()
    assert alive.path.exists()
    alive.remove()


def test_a_card_that_another_version_wrote_is_passed_over() -> None:
    directory = RunDirectory.create()
    (directory.path / "mesh.json").write_text(json.dumps({"pid": 1, "colour": "blue"}))

    assert living() == []
    directory.remove()


@pytest.mark.parametrize("spoil", ["open to others", "a link", "a file"])
def test_a_parent_that_others_could_have_made_is_refused(parent: Path, tmp_path: Path, spoil: str) -> None:
    if spoil == "open to others":
        parent.mkdir()
        parent.chmod(0o755)
    elif spoil == "a link":
        tmp_path.chmod(0o700)
        parent.symlink_to(tmp_path)
    else:
        parent.write_text("")

    with pytest.raises(ConfigError, match="must be a directory of user"):
        RunDirectory.create()


def test_a_long_temporary_directory_is_left_for_tmp(monkeypatch: pytest.MonkeyPatch, parent: Path) -> None:
    monkeypatch.setattr(places, "LONGEST_RUN_DIRECTORY", len(str(parent)) + 8)

    directory = RunDirectory.create()

    assert directory.path.parent == Path(f"/tmp/mesh-{os.getuid()}")
    directory.remove()


def test_a_detached_mesh_keeps_store_logs_and_token_elsewhere(tmp_path: Path) -> None:
    directory = RunDirectory.create(str(tmp_path / "mesh" / "shop"))
    (directory.path / "store" / "blobs" / "one").write_text("kept")
    token = read_token(str(directory.path))

    with pytest.raises(MeshUnavailable, match="a detached mesh of the name 'shop' runs already"):
        RunDirectory.create(str(tmp_path / "mesh" / "shop"))
    directory.remove()

    assert not directory.path.exists()
    assert (tmp_path / "mesh" / "shop" / "store" / "blobs" / "one").read_text() == "kept"
    again = RunDirectory.create(str(tmp_path / "mesh" / "shop"))
    assert (again.path / "store" / "blobs" / "one").read_text() == "kept"
    assert read_token(str(again.path)) != token
    again.remove()


def test_the_card_of_a_newer_mesh_still_tells_its_version() -> None:
    directory = RunDirectory.create()
    directory.publish(mesh_at(directory))
    card = json.loads((directory.path / "mesh.json").read_text())
    (directory.path / "mesh.json").write_text(json.dumps({**card, "version": "99.0", "colour": "green"}))

    assert [mesh.version for mesh in living()] == ["99.0"]
    directory.remove()
