"""A segment of another process as a file of this one. Apart from ``view``: a probe needs no more, and no ctypes."""

from __future__ import annotations

import os

from mesh.v1.payload_pb2 import SegmentReference


def open_segment(reference: SegmentReference) -> int:
    """A descriptor for what ``reference`` speaks of.

    Raises OSError when it cannot be opened, or is another file: its process has ended, or lives among other processes.
    """
    descriptor = os.open(f"/proc/{reference.pid}/fd/{reference.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(descriptor)
    if (status.st_dev, status.st_ino) != (reference.device, reference.inode):
        os.close(descriptor)
        raise OSError(f"descriptor {reference.descriptor} of process {reference.pid} is another file")
    return descriptor
