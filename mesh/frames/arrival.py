"""A payload on its way in, part by part."""

from __future__ import annotations

from collections.abc import Sequence

from mesh.segments.buffer import Buffer, InMemory
from mesh.v1 import payload_pb2
from mesh.v1.payload_pb2 import BufferedHead

BUFFERED: int = payload_pb2.ENCODING_BUFFERED
PIECE: int = payload_pb2.ENCODING_BYTES
SEGMENT: int = payload_pb2.ENCODING_SEGMENT


class Arrival:
    """The parts of one payload that have come. Of one with buffers the head comes first: see ENCODING_BUFFERED."""

    __slots__ = ("_buffers", "_content", "_encoding", "_filled", "_parts", "_sizes", "is_lost")

    def __init__(self, encoding: int) -> None:
        self._encoding = encoding  # of the first part
        self._parts: list[bytes] = []
        self._buffers: list[Buffer] = []
        self._sizes: Sequence[int] | None = None
        self._content = bytearray()  # of the buffer that comes in pieces, and how much of it has come
        self._filled = 0
        self.is_lost = False
        """A part of it is in a segment that cannot be had."""

    def put(self, encoding: int, part: bytes) -> None:
        """A part of the body, or of what stands beside it."""
        if encoding == PIECE and self._encoding == BUFFERED:
            self._put_piece(part)
        else:
            self._parts.append(part)

    def put_segment(self, buffer: Buffer | None) -> None:
        """A buffer that came as a whole, in a segment."""
        if buffer is None:
            self.is_lost = True
        else:
            self._buffers.append(buffer)

    def _put_piece(self, piece: bytes) -> None:
        if self._sizes is None:
            self._sizes = BufferedHead.FromString(b"".join(self._parts)).buffer_sizes
        if not self._filled:
            self._content = bytearray(self._sizes[len(self._buffers)])
        end = self._filled + len(piece)
        self._content[self._filled : end] = piece
        self._filled = end
        if end >= len(self._content):
            self._buffers.append(InMemory(self._content))
            self._filled = 0

    def whole(self, encoding: int, last: bytes) -> tuple[int, bytes, Sequence[Buffer]]:
        """Encoding, body and buffers of the payload that ``last`` completes."""
        body = b"".join((*self._parts, last)) if self._parts else last
        if encoding != BUFFERED:
            return encoding, body, ()
        head = BufferedHead.FromString(body)
        return head.encoding, head.body, self._buffers
