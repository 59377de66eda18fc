"""Large buffers between processes of one host: what arrives, who may write, and what is left when something dies."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import DeadlineExceeded
from mesh.segments import sharing
from mesh.segments.copying import process_pool
from tests.e2e.commands import wait_until
from tests.e2e.running_mesh import Run, RunningMesh, kill
from tests.services.arrays import Arrays, lent_bytes, mapped_segments

SIZE = 3_000_000


@pytest.fixture(autouse=True)
def no_segment_in_use() -> Iterator[None]:
    """At the end of every test nothing of this process' segments is in use, and none of others is mapped."""
    yield
    wait_until(lambda: lent_bytes() == 0)
    wait_until(lambda: mapped_segments() == 0)


def test_an_argument_arrives_in_shared_memory_and_is_the_replicas_own(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    array = np.ones(SIZE, np.uint8)
    response = arrays.look.remote(array)
    array += 1  # too late to be seen
    assert response.result() == (SIZE, True, 1)
    assert arrays.add.remote(array, 5).result().sum() == 7 * SIZE
    assert array.sum() == 2 * SIZE
    assert arrays.look.remote(np.ones(1000, np.uint8)).result() == (1000, True, 0), "small ones stay in the pickle"


async def test_a_coroutine_sends_without_holding_its_loop(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    array = np.ones(SIZE, np.uint8)
    assert await arrays.look_on_loop(array) == (SIZE, True, 1)
    answers = await asyncio.gather(*[arrays.look(array) for _ in range(5)])
    assert {answer[0] for answer in answers} == {SIZE}


def test_results_arrive_as_they_were_returned(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    made = arrays.make.remote(SIZE).result()
    on_loop = arrays.make_on_loop.remote(SIZE, 2).result()
    assert mapped_segments() == 2
    made += 1
    assert (made.sum(), on_loop.sum()) == (2 * SIZE, 2 * SIZE)
    first, second = [arrays.next_of_buffer.remote() for _ in range(2)]
    assert [response.result()[0] for response in (first, second)] == [1, 2], "copied before the next call may change it"


def test_a_segment_is_in_use_until_the_last_view_of_it_is_gone(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    part = arrays.make.remote(SIZE).result()[10:20]
    assert arrays.keep.remote(np.ones(SIZE, np.uint8)).result() == 1
    assert arrays.lent_bytes.remote().result() >= SIZE
    assert lent_bytes() >= SIZE
    del part
    arrays.drop.remote().result()
    wait_until(lambda: arrays.lent_bytes.remote().result() == 0)
    wait_until(lambda: lent_bytes() == 0)


@pytest.mark.parametrize("content", [b"\x01" * SIZE + b"end", bytearray(SIZE) + b"end"], ids=["bytes", "bytearray"])
def test_large_bytes_at_top_level_arrive_as_what_they_are(
    own_mesh: RunningMesh, run: Run, content: bytes | bytearray
) -> None:
    arrays = run(Arrays.bind())
    assert arrays.kind.remote(content).result() == (type(content).__name__, len(content), b"end")
    assert arrays.make_bytes.remote(SIZE).result() == b"\x07" * SIZE


def test_items_of_a_stream_each_have_memory_of_their_own(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    for method in (arrays.yield_arrays, arrays.yield_on_loop):
        items = list(method.remote(SIZE, 4))
        assert [(int(item[0]), int(item[-1])) for item in items] == [(0, 0), (1, 1), (2, 2), (3, 3)]
        assert mapped_segments() == 4
        del items


def test_a_result_is_passed_on_and_outlives_those_who_made_it_and_passed_it_on(own_mesh: RunningMesh, run: Run) -> None:
    maker = run(Arrays.options(name="Maker").bind(), name="maker")
    keeper = run(Arrays.options(name="Keeper").bind(), name="keeper")
    between = run(Arrays.options(name="Between").bind(), name="between")
    assert between.pass_on.remote(maker, keeper, SIZE).result() == 1
    mine = maker.make.remote(SIZE, 2)
    assert keeper.keep.remote(mine).result() == 2
    value = mine.result()
    kill(maker.pid.remote().result(), between.pid.remote().result())
    assert keeper.kept_sums.remote().result() == [SIZE, 2 * SIZE]
    assert value.sum() == 2 * SIZE
    assert keeper.keep.remote(mine).result() == 3, "a segment whose maker has died is passed on by value"
    assert keeper.kept_sums.remote().result()[2] == 2 * SIZE


def test_what_a_killed_replica_had_mapped_is_given_back(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    arrays.keep.remote(np.ones(SIZE, np.uint8)).result()
    assert lent_bytes() >= SIZE
    before = process_pool().sizes()[0]
    kill(arrays.pid.remote().result())
    wait_until(lambda: lent_bytes() == 0)
    assert process_pool().sizes()[0] < before, "its segment is not used again: somebody might still read it"


def test_a_call_that_a_replica_took_to_its_grave_is_sent_again(own_mesh: RunningMesh, run: Run, tmp_path: Path) -> None:
    arrays = run(Arrays.options(num_replicas=2).bind())
    response = arrays.options(retry_on_death=True).die_once.remote(np.ones(SIZE, np.uint8), str(tmp_path / "died"))
    assert response.result() == SIZE


def test_rejected_calls_offer_their_segment_elsewhere(own_mesh: RunningMesh, run: Run) -> None:
    narrow = run(Arrays.options(name="Narrow", num_replicas=2, max_ongoing_requests=1).bind(), name="narrow")
    others = [run(Arrays.options(name=name).bind(), name=name.lower()) for name in ("One", "Two")]
    theirs = [other.look_many.remote(narrow, SIZE, 10) for other in others]
    ours = [narrow.look.remote(np.ones(SIZE, np.uint8)) for _ in range(10)]
    assert [response.result()[0] for response in ours] == [SIZE] * 10
    assert [response.result() for response in theirs] == [[SIZE] * 10] * 2


async def test_a_cancelled_call_stops_its_copy(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    array = np.ones(100 * SIZE, np.uint8)
    calls = [arrays.look(array) for _ in range(3)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    assert (await arrays.look(array[:SIZE]))[0] == SIZE
    assert process_pool().sizes()[0] < 2 * array.nbytes, "at most one of the three copies was begun"
    with pytest.raises(DeadlineExceeded):
        await arrays.options(timeout_s=0.001).look(array)


@pytest.mark.parametrize("why", ["pool is full", "disk is full"])
def test_without_room_for_a_segment_buffers_travel_in_frames(
    own_mesh: RunningMesh, run: Run, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    arrays = run(Arrays.bind())
    process_pool().trim(float("inf"))  # nothing is there to be used again
    if why == "pool is full":
        monkeypatch.setattr(process_pool(), "limit_bytes", SIZE - 1)
    else:
        monkeypatch.setattr(os, "posix_fallocate", _raise_no_space)
    assert arrays.look.remote(np.ones(SIZE, np.uint8)).result() == (SIZE, True, 0)
    assert arrays.kind.remote(b"\x01" * SIZE).result() == ("bytes", SIZE, b"\x01" * 3)


def _raise_no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_replica_without_room_for_a_segment_answers_in_frames(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    arrays.allow_no_memory.remote().result()
    made = arrays.make.remote(SIZE).result()
    assert mapped_segments() == 0
    assert (made.sum(), made.flags.writeable) == (SIZE, True)


def test_a_replica_that_can_open_nothing_gets_and_answers_in_frames(own_mesh: RunningMesh, run: Run) -> None:
    arrays = run(Arrays.bind())
    arrays.make.remote(1).result()
    arrays.allow_no_files.remote().result()
    assert arrays.kind.remote(np.ones(SIZE, np.uint8)).result() == ("ndarray", SIZE, b"\x01" * 3)
    assert arrays.make.remote(SIZE).result().sum() == SIZE
    assert mapped_segments() == 0
    arrays.allow_files.remote().result()


def test_where_segments_cannot_be_opened_everything_travels_in_frames(
    own_mesh: RunningMesh, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "open_segment", _refuse)  # as for another user, or behind hidepid
    arrays = run(Arrays.bind())
    made = arrays.make.remote(SIZE).result()
    assert mapped_segments() == 0
    assert made.sum() == SIZE
    assert arrays.look.remote(made).result() == (SIZE, True, 1), "the other way it can be opened"


def _refuse(*_: object) -> int:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
