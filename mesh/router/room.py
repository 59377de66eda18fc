"""Room in a router for threads, which wait for it instead of being rejected."""

from __future__ import annotations

import threading
from time import monotonic


class ThreadRoom:
    """How many calls made by threads are on their way to a replica. ``enter`` waits while there are too many."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0

    def try_enter(self, limit: int) -> bool:
        """Enter if fewer than ``limit`` are inside."""
        with self._changed:
            if self._inside >= limit:
                return False
            self._inside += 1
            return True

    def enter(self, limit: int, deadline: float) -> bool:
        """Enter as soon as there is room; False when the deadline (monotonic seconds) passed before."""
        with self._changed:
            while self._inside >= limit:
                left_s = deadline - monotonic()
                if left_s <= 0:
                    return False
                self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
            self._inside += 1
            return True

    def leave(self) -> None:
        """A call has reached a replica, or has ended."""
        with self._changed:
            self._inside -= 1
            self._changed.notify()
