"""What one session knows of shared memory: whether the other end can open ours, and which of theirs are in use here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from mesh.loops import Crossing
from mesh.segments.buffer import Buffer
from mesh.segments.copying import process_pool
from mesh.segments.opening import open_segment
from mesh.segments.pool import Segment
from mesh.v1.payload_pb2 import SegmentReference

_log = logging.getLogger(__name__)

_PROBE_BYTES = 4096


class Sharing:
    """Implements :class:`mesh.segments.buffer.Segments` for one session.

    ``released((id, is_spoilt))`` is called over ``crossing`` when nothing of an offer is in use here any more.
    """

    def __init__(self, crossing: Crossing, released: Callable[[tuple[int, bool]], object]) -> None:
        self._crossing = crossing
        self._released = released

    def probe(self) -> SegmentReference | None:
        if not process_pool().limit_bytes:
            return None
        segment = _probe_segment(os.getpid())
        return None if segment is None else segment.reference(_PROBE_BYTES)

    def can_open(self, probe: SegmentReference) -> bool:
        try:
            os.close(open_segment(probe))
        except OSError as error:
            _log.info("segments of another process cannot be opened pid=%d error=%r", probe.pid, error)
            return False
        return True

    def arrived(self, reference: SegmentReference) -> Buffer | None:
        segment_id, put, released = reference.id, self._crossing.put, self._released

        def gone(is_spoilt: bool) -> None:
            with suppress(RuntimeError):  # the loop is closed, and with it the session
                put(released, (segment_id, is_spoilt))

        try:
            from mesh.segments.view import View  # loads ctypes, which a process without large buffers does not need

            return View(reference, gone)
        except (OSError, ImportError) as error:  # where no file can be opened, no module can be loaded either
            _log.warning("a segment cannot be opened pid=%d error=%r", reference.pid, error)
            return None


@cache
def _probe_segment(_: int) -> Segment | None:
    """One for all sessions of this process."""
    try:
        return Segment(_PROBE_BYTES)
    except OSError as error:
        _log.info("no shared memory error=%r", error)
        return None
