"""Segments of other processes, mapped into this one."""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import weakref
from collections.abc import Callable

from mesh.segments.opening import open_segment
from mesh.v1.payload_pb2 import SegmentReference

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value

Gone = Callable[[bool], object]
"""Called with whether the segment is spoilt when nobody in this process can read it any more; in any thread."""


class View:
    """A buffer in a segment of another process: mapped privately, so it can be written to like any memory.

    The mapping lives as long as this object or anything made from its memory. It holds no descriptor: many of them
    would be more than a process may have open (Python's own ``mmap`` keeps one each).
    """

    __slots__ = ("_descriptor", "_fate", "_lock", "_memory", "_reference", "size_bytes")

    def __init__(self, reference: SegmentReference, gone: Gone) -> None:
        """Raises OSError when the segment cannot be opened or mapped."""
        self.size_bytes = reference.size_bytes
        self._reference = reference
        self._descriptor: int | None = None  # of our own, once it was offered
        self._lock = threading.Lock()
        descriptor = open_segment(reference)
        try:
            address = _map(descriptor, self.size_bytes)
        finally:
            os.close(descriptor)
        memory = (ctypes.c_char * self.size_bytes).from_address(address)
        self._fate = _Fate(address, self.size_bytes, gone)
        weakref.finalize(memory, self._fate).atexit = False  # what lives to the end of the process ends with it
        self._memory = memoryview(memory).cast("B")

    # A buffer: see mesh.segments.buffer.

    def view(self) -> memoryview:
        return self._memory

    def read(self, begin: int, end: int) -> bytes:
        descriptor = self._own_descriptor()
        if descriptor is None:
            return bytes(self._memory[begin:end])
        return os.pread(descriptor, min(end, self.size_bytes) - begin, begin)  # as it came, whatever was written since

    def offer(self) -> SegmentReference | None:
        descriptor = self._own_descriptor()
        if descriptor is None:
            return None
        reference = SegmentReference()
        reference.CopyFrom(self._reference)
        reference.pid, reference.descriptor = os.getpid(), descriptor
        return reference

    def _own_descriptor(self) -> int | None:
        """A descriptor that lives as long as this object: nobody has to rely on the process that made the segment."""
        with self._lock:
            if self._descriptor is None:
                try:
                    self._descriptor = open_segment(self._reference)
                except OSError:
                    return None
            return self._descriptor

    def spoil(self) -> None:
        self._fate.is_spoilt = True

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:
            os.close(self._descriptor)  # type: ignore[arg-type]


class _Fate:
    """What becomes of a mapping when the last object that can read it is gone."""

    __slots__ = ("_address", "_gone", "_size_bytes", "is_spoilt")

    def __init__(self, address: int, size_bytes: int, gone: Gone) -> None:
        self.is_spoilt = False
        self._address = address
        self._size_bytes = size_bytes
        self._gone = gone

    def __call__(self) -> None:
        _libc.munmap(self._address, self._size_bytes)
        self._gone(self.is_spoilt)


def _map(descriptor: int, size_bytes: int) -> int:
    address = _libc.mmap(None, size_bytes, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, descriptor, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(address)
