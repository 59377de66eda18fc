"""The time, as something that is passed in."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds; :class:`mesh.testing.FakeClock` is the other one."""

    def now_s(self) -> float:
        """Seconds since a fixed moment; never goes back."""
        ...


class SystemClock:
    """The clock of the machine, the same one for all its processes."""

    def now_s(self) -> float:
        return time.monotonic()
