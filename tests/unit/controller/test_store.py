"""What is stored is there for the next controller; two controllers on one store do not happen."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mesh.controller.store import FORMAT, Store, StoreConflict, StoreTaken, StoreUnusable, StoreUnwritable


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "store")
    yield store
    await store.close()


@contextmanager
def room_for(largest_bytes: int) -> Iterator[None]:
    """As on a disk that fills up, no file of this process grows beyond that size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_rows_are_put_replaced_and_removed(store: Store) -> None:
    revision, rows = await store.load()
    assert rows == {}
    revision = await store.save(revision, {("replica", "a"): b"1", ("replica", "b"): b"1"}, {})
    revision = await store.save(revision, {("replica", "a"): b"2", ("replica", "b"): None}, {})
    assert await store.load() == (revision, {("replica", "a"): b"2"})


async def test_the_next_controller_finds_what_the_last_one_stored(tmp_path: Path) -> None:
    first = await Store.open(tmp_path)
    revision, _ = await first.load()
    revision = await first.save(revision, {("mesh", ""): b"kept"}, {"abc": b"blob"})
    await first.close()
    second = await Store.open(tmp_path)
    assert await second.load() == (revision, {("mesh", ""): b"kept"})
    assert (second.blob_directory / "abc").read_bytes() == b"blob"
    await second.close()


async def test_a_write_that_was_decided_on_an_old_state_fails_whole(store: Store) -> None:
    revision, _ = await store.load()
    revision = await store.save(revision, {("mesh", ""): b"1"}, {})
    with pytest.raises(StoreConflict, match=f"no longer at revision {revision - 1}"):
        await store.save(revision - 1, {("mesh", ""): b"2", ("replica", "a"): b"2"}, {})
    assert await store.load() == (revision, {("mesh", ""): b"1"})
    assert await store.save(revision, {("mesh", ""): b"3"}, {}) == revision + 1, "it works on after the failure"


async def test_a_second_controller_is_refused_while_the_first_has_the_store(tmp_path: Path) -> None:
    first = await Store.open(tmp_path)
    with pytest.raises(StoreTaken, match=str(tmp_path)):
        await Store.open(tmp_path)
    await first.close()
    await (await Store.open(tmp_path)).close()


async def spoil(folder: Path, how: str) -> None:
    """Makes a store, and has something happen to its file."""
    store = await Store.open(folder)
    await store.save(1, {("replica", str(number)): b"x" * 500 for number in range(100)}, {})
    await store.close()
    path = folder / "state.sqlite"
    content = path.read_bytes()
    match how:
        case "garbage":
            path.write_bytes(b"not a database at all" * 1000)
        case "torn":
            path.write_bytes(content[: len(content) // 2])
        case "holes":
            path.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])
        case "newer":
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA user_version = {FORMAT + 1}")


@pytest.mark.parametrize("how", ["garbage", "torn", "holes", "newer"])
async def test_a_store_that_is_of_no_use_is_refused_and_left_as_it_is(tmp_path: Path, how: str) -> None:
    await spoil(tmp_path, how)
    before = (tmp_path / "state.sqlite").read_bytes()
    says = "newer version of mesh" if how == "newer" else "is corrupt"
    with pytest.raises(StoreUnusable, match=f"(?s){says}.*left as it is.*move the folder away"):
        await Store.open(tmp_path)
    assert (tmp_path / "state.sqlite").read_bytes() == before


async def test_a_store_from_before_there_were_formats_is_taken_over(tmp_path: Path) -> None:
    store = await Store.open(tmp_path)
    revision = await store.save(1, {("mesh", ""): b"kept"}, {})
    await store.close()
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 0")
    store = await Store.open(tmp_path)
    assert await store.load() == (revision, {("mesh", ""): b"kept"})
    await store.close()


async def test_blobs_that_nobody_names_are_removed(store: Store) -> None:
    await store.save(1, {}, {"one": b"1", "two": b"2"})
    await store.keep_only_blobs({"two"})
    assert [path.name for path in store.blob_directory.iterdir()] == ["two"]


@pytest.mark.parametrize("too_large", ["a blob", "the rows"])
async def test_what_could_not_be_saved_whole_leaves_the_disk_as_it_was(store: Store, too_large: str) -> None:
    revision = await store.save(1, {("mesh", ""): b"1"}, {"kept": b"kept"})
    blobs = {"kept": b"kept", "small": b"s" * 100, "other": b"o" * (500_000 if too_large == "a blob" else 1)}
    with room_for(100_000), pytest.raises(StoreUnwritable, match="cannot be written"):
        await store.save(revision, {("mesh", ""): b"2" * (500_000 if too_large == "the rows" else 1)}, blobs)
    assert [path.name for path in store.blob_directory.iterdir()] == ["kept"]
    assert await store.load() == (revision, {("mesh", ""): b"1"})


@pytest.mark.parametrize("its_controller", ["ended", "was killed"])
async def test_a_store_opens_on_a_full_disk(tmp_path: Path, its_controller: str) -> None:
    first = await Store.open(tmp_path / "first")
    revision = await first.save(1, {("mesh", ""): b"kept"}, {})
    folder = tmp_path / "first"
    if its_controller == "was killed":  # then its files are as they were while it worked
        folder = shutil.copytree(folder, tmp_path / "second")
    await first.close()
    with room_for(0):
        store = await Store.open(folder)
        assert await store.load() == (revision, {("mesh", ""): b"kept"})
        with pytest.raises(StoreUnwritable):
            await store.save(revision, {("mesh", ""): b"more"}, {})
    assert await store.save(revision, {("mesh", ""): b"more"}, {}) == revision + 1
    await store.close()


async def test_a_store_that_cannot_be_opened_gives_its_lock_back(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").mkdir()
    with pytest.raises(Exception, match="unable to open"):
        await Store.open(tmp_path)
    (tmp_path / "state.sqlite").rmdir()
    await (await Store.open(tmp_path)).close()
