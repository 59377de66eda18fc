"""A large buffer as it is carried: somebody's memory of a certain size, perhaps in a segment."""

from __future__ import annotations

from typing import Protocol

from mesh.v1.payload_pb2 import SegmentReference


class Buffer(Protocol):
    """The bytes of one large buffer, which nobody changes any more."""

    @property
    def size_bytes(self) -> int: ...

    def view(self) -> memoryview:
        """Its bytes in memory of this process that the caller may write to; to be asked for once."""
        ...

    def read(self, begin: int, end: int) -> bytes:
        """A copy of a part of it; less at its end."""
        ...

    def offer(self) -> SegmentReference | None:
        """Where other processes of this host find it, as long as this object lives; None when they cannot."""
        ...

    def spoil(self) -> None:
        """Somebody may read it for ever: its memory must not be used for anything else."""
        ...


class Segments(Protocol):
    """What an end of a session asks about shared memory."""

    def probe(self) -> SegmentReference | None:
        """Something for the other end to try; None when nothing can be offered here."""
        ...

    def can_open(self, probe: SegmentReference) -> bool:
        """Whether segments of the other end can be opened here."""
        ...

    def arrived(self, reference: SegmentReference) -> Buffer | None:
        """The buffer in a segment that was offered; None when it cannot be had.

        When nobody holds any part of it any more, that is told to the end's ``release``.
        """
        ...


class InMemory:
    """A buffer in the memory of this process."""

    __slots__ = ("_content", "size_bytes")

    def __init__(self, content: bytes | bytearray) -> None:
        self._content = content
        self.size_bytes = len(content)

    def view(self) -> memoryview:
        return memoryview(bytearray(self._content))

    def read(self, begin: int, end: int) -> bytes:
        return bytes(memoryview(self._content)[begin:end])

    def offer(self) -> None:
        return None

    def spoil(self) -> None: ...
