"""The segments of this process: lent to what is to be sent, and used again when nobody holds that any more."""

from __future__ import annotations

import os
import threading
from collections import deque
from time import monotonic

from mesh.v1.payload_pb2 import SegmentReference

UNUSED_S = 10.0
"""After so many seconds without use a segment is given back to the system."""
MOST_SEGMENTS = 128
"""Each one is an open file."""
_STEP_BYTES = 1024 * 1024
_COPIED_AT_ONCE = 4 * 1024 * 1024


class Segment:
    """Memory without a name, of a fixed size, all of which exists: writing to it cannot fail for want of room."""

    __slots__ = ("descriptor", "device", "inode", "size_bytes", "unused_since_s")

    def __init__(self, size_bytes: int) -> None:
        """Raises OSError when there is no memory, no descriptor or no such thing on this system."""
        if not hasattr(os, "memfd_create"):
            raise OSError("this system has no memfd")
        self.size_bytes = size_bytes
        self.unused_since_s = 0.0
        self.descriptor = os.memfd_create("mesh-segment")
        try:
            os.posix_fallocate(self.descriptor, 0, size_bytes)
            status = os.fstat(self.descriptor)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.device, self.inode = status.st_dev, status.st_ino

    def reference(self, size_bytes: int) -> SegmentReference:
        """Where other processes find the first so many bytes."""
        return SegmentReference(
            pid=os.getpid(),
            descriptor=self.descriptor,
            device=self.device,
            inode=self.inode,
            size_bytes=size_bytes,
        )

    def close(self) -> None:
        os.close(self.descriptor)


class Lease:
    """A segment with a buffer in it; it goes back to its pool when nobody refers to this object any more."""

    __slots__ = ("_is_spoilt", "_pool", "_segment", "size_bytes")

    def __init__(self, pool: Pool, segment: Segment, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._pool = pool
        self._segment = segment
        self._is_spoilt = False

    def write(self, begin: int, content: memoryview) -> None:
        """Fill in a part. The interpreter is free for others while the system copies."""
        done = 0
        while done < len(content):
            done += os.pwrite(self._segment.descriptor, content[done : done + _COPIED_AT_ONCE], begin + done)

    # A buffer: see mesh.segments.buffer.

    def view(self) -> memoryview:
        return memoryview(bytearray(self.read(0, self.size_bytes)))

    def read(self, begin: int, end: int) -> bytes:
        return os.pread(self._segment.descriptor, min(end, self.size_bytes) - begin, begin)

    def offer(self) -> SegmentReference:
        return self._segment.reference(self.size_bytes)

    def spoil(self) -> None:
        self._is_spoilt = True

    def __del__(self) -> None:
        # In any thread, in the middle of anything: no lock is taken here.
        self._pool.returned.append((self._segment, self._is_spoilt))


class Pool:
    """At most ``limit_bytes`` of segments, in use or kept for the next use. Safe in any thread."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.returned: deque[tuple[Segment, bool]] = deque()
        """What leases leave behind: their segment, and whether it must not be used again."""
        self._lock = threading.Lock()
        self._free: list[Segment] = []  # the one used last is the last one
        self._bytes = 0  # of all segments, lent and free
        self._count = 0

    def lend(self, size_bytes: int) -> Lease | None:
        """A segment of at least that size; None when the pool is full or the system gives none."""
        with self._lock:
            self._sweep()
            segment = self._take_free(size_bytes)
            if segment is None:
                capacity = -(-size_bytes // _STEP_BYTES) * _STEP_BYTES
                if not self._make_room(capacity):
                    return None
                self._bytes += capacity
                self._count += 1
        if segment is None:
            try:
                segment = Segment(capacity)
            except OSError:  # no memory, no descriptor left, no memfd here: whoever asks has another way
                with self._lock:
                    self._bytes -= capacity
                    self._count -= 1
                return None
        return Lease(self, segment, size_bytes)

    def _take_free(self, size_bytes: int) -> Segment | None:
        """The smallest one that fits; none that is more than twice too large."""
        fitting = [one for one in self._free if size_bytes <= one.size_bytes <= 2 * size_bytes + _STEP_BYTES]
        if not fitting:
            return None
        segment = min(reversed(fitting), key=lambda one: one.size_bytes)
        self._free.remove(segment)
        return segment

    def _make_room(self, size_bytes: int) -> bool:
        """Close free ones, those unused for longest first, until one of that size may be made."""
        while self._bytes + size_bytes > self.limit_bytes or self._count >= MOST_SEGMENTS:
            if not self._free:
                return False
            self._close(self._free.pop(0))
        return True

    def _sweep(self) -> None:
        while self.returned:
            segment, is_spoilt = self.returned.popleft()
            if is_spoilt:
                self._close(segment)
            else:
                segment.unused_since_s = monotonic()
                self._free.append(segment)

    def _close(self, segment: Segment) -> None:
        self._bytes -= segment.size_bytes
        self._count -= 1
        segment.close()

    def trim(self, now_s: float) -> bool:
        """Close what was unused for long; whether anything is left that may become so."""
        with self._lock:
            self._sweep()
            while self._free and now_s - self._free[0].unused_since_s >= UNUSED_S:
                self._close(self._free.pop(0))
            return self._count > 0

    def sizes(self) -> tuple[int, int]:
        """Bytes of all segments, and of those that are free."""
        with self._lock:
            self._sweep()
            return self._bytes, sum(segment.size_bytes for segment in self._free)
