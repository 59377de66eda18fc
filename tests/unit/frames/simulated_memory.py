"""Shared memory for simulated sessions: what is lent, what is mapped, and whether the one outlives the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from mesh.segments.buffer import Buffer
from mesh.v1.payload_pb2 import SegmentReference


class Memory:
    """The segments of all processes of a simulation, by number."""

    def __init__(self) -> None:
        self.contents: dict[int, bytes] = {}
        self.alive = 0
        """Leases that somebody holds."""
        self.views: dict[int, int] = {}
        """How many map a segment."""
        self.spoilt: set[int] = set()
        """Segments that somebody may read for ever."""
        self.faults: list[str] = []
        self._last = 0

    def lend(self, contents: Sequence[bytes]) -> tuple[Lease, ...]:
        """A lease for each of them."""
        leases = []
        for content in contents:
            self._last += 1
            leases.append(Lease(self, self._last, content))
        return tuple(leases)


class Lease:
    """A filled segment of the sender; as with the real one, letting go of it makes its memory free."""

    def __init__(self, memory: Memory, number: int, content: bytes) -> None:
        self.memory = memory
        self.number = number
        self.content = content
        self.size_bytes = len(content)
        self.is_spoilt = False
        memory.alive += 1
        memory.contents[number] = content
        memory.views[number] = 0

    def view(self) -> memoryview:
        raise AssertionError("nobody reads what he sends")

    def read(self, begin: int, end: int) -> bytes:
        return self.content[begin:end]

    def offer(self) -> SegmentReference:
        return SegmentReference(inode=self.number, size_bytes=self.size_bytes)

    def spoil(self) -> None:
        self.is_spoilt = True

    def __del__(self) -> None:
        self.memory.alive -= 1
        if not self.is_spoilt and (self.memory.views[self.number] or self.number in self.memory.spoilt):
            self.memory.faults.append(f"segment {self.number} would be used again while somebody reads it")


class View:
    """A segment as the receiver has mapped it."""

    def __init__(self, segments: EndSegments, reference: SegmentReference) -> None:
        self.segments = segments
        self.reference = reference
        self.content = segments.memory.contents[reference.inode]
        self.size_bytes = reference.size_bytes
        self.is_spoilt = segments.rng.random() < 0.1  # as if it had been passed on to a session that was cut
        segments.memory.views[reference.inode] += 1

    def view(self) -> memoryview:
        return memoryview(self.content)

    def read(self, begin: int, end: int) -> bytes:
        return self.content[begin:end]

    def offer(self) -> None:
        return None

    def spoil(self) -> None: ...

    def __del__(self) -> None:
        self.segments.memory.views[self.reference.inode] -= 1
        if self.is_spoilt:
            self.segments.memory.spoilt.add(self.reference.inode)
        self.segments.gone.append((self.reference.id, self.is_spoilt))


class EndSegments:
    """What one end knows of shared memory; with ``fails`` a segment sometimes cannot be opened."""

    def __init__(self, memory: Memory, rng: Random, can_open: bool, fails: bool) -> None:
        self.memory = memory
        self.rng = rng
        self.gone: deque[tuple[int, bool]] = deque()
        """What is to be released."""
        self._can_open = can_open
        self._fails = fails

    def probe(self) -> SegmentReference | None:
        return SegmentReference(inode=0) if self.rng.random() < 0.9 else None

    def can_open(self, probe: SegmentReference) -> bool:
        assert not probe.inode
        return self._can_open

    def arrived(self, reference: SegmentReference) -> Buffer | None:
        if self._fails and self.rng.random() < 0.2:
            return None
        return View(self, reference)


def contents(buffers: Sequence[Buffer]) -> list[bytes]:
    """What is in them."""
    return [bytes(buffer.view()) for buffer in buffers]
