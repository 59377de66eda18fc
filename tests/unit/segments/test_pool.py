"""Segments of this process: lent, filled, returned, used again, given back to the system."""

from __future__ import annotations

import errno
import os
from time import monotonic

import pytest

from mesh.segments import pool
from mesh.segments.pool import UNUSED_S, Pool

MIB = 1024 * 1024


@pytest.fixture
def segments() -> Pool:
    return Pool(8 * MIB)


def test_what_is_written_is_read_in_every_part(segments: Pool) -> None:
    lease = segments.lend(MIB + 5)
    assert lease is not None
    content = os.urandom(MIB + 5)
    lease.write(0, memoryview(content)[:MIB])
    lease.write(MIB, memoryview(content)[MIB:])
    assert lease.read(0, 10 * MIB) == content
    assert lease.read(7, 9) == content[7:9]
    assert bytes(lease.view()) == content


def test_a_segment_is_used_again_when_nobody_holds_its_lease(segments: Pool) -> None:
    first = segments.lend(2 * MIB)
    assert first is not None
    inode = first.offer().inode
    held_elsewhere = first
    del first
    second = segments.lend(2 * MIB)
    assert second is not None
    assert second.offer().inode != inode, "the first one is still held"
    del held_elsewhere
    third = segments.lend(2 * MIB)
    assert third is not None
    assert third.offer().inode == inode


def test_a_spoilt_segment_is_closed_and_never_used_again(segments: Pool) -> None:
    lease = segments.lend(MIB)
    assert lease is not None
    descriptor = lease.offer().descriptor
    lease.spoil()
    del lease
    assert segments.sizes() == (0, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_full_pool_lends_nothing_and_closes_free_ones_to_make_room(segments: Pool) -> None:
    small = [segments.lend(2 * MIB) for _ in range(4)]
    assert segments.lend(1) is None
    small.pop()
    assert segments.sizes() == (8 * MIB, 2 * MIB)
    assert segments.lend(3 * MIB) is None, "free ones are too few"
    small.pop()
    assert segments.lend(3 * MIB) is not None
    assert segments.lend(9 * MIB) is None


def test_a_much_larger_segment_is_not_spent_on_a_small_buffer(segments: Pool) -> None:
    large = segments.lend(6 * MIB)
    del large
    small = segments.lend(MIB)
    assert small is not None
    assert segments.sizes() == (7 * MIB, 6 * MIB)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EFBIG])
def test_when_the_system_gives_none_there_is_none_and_nothing_is_left(
    segments: Pool, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert segments.lend(MIB) is None
    assert segments.sizes() == (0, 0)
    assert os.listdir("/proc/self/fd") == before


def test_segments_are_bounded_in_number(segments: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_SEGMENTS", 2)
    leases = [segments.lend(1) for _ in range(3)]
    assert [lease is None for lease in leases] == [False, False, True]


def test_what_is_unused_for_long_is_given_back(segments: Pool) -> None:
    lease, held = segments.lend(MIB), segments.lend(MIB)
    assert held is not None
    del lease
    assert segments.trim(monotonic() + UNUSED_S - 1)
    assert segments.sizes() == (2 * MIB, MIB)
    assert segments.trim(monotonic() + UNUSED_S)
    assert segments.sizes() == (MIB, 0)
    del held
    assert not segments.trim(float("inf"))


def test_without_memfd_there_are_no_segments(segments: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert segments.lend(MIB) is None
