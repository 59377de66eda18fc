"""A deadline: the moment at which nobody waits for the answer any more."""

from __future__ import annotations

from time import monotonic

NEVER = float("inf")
"""The deadline of what may take as long as it likes."""

_LONGEST_MS = 0xFFFF_FFFF


def after(timeout_s: float | None) -> float:
    """The moment ``timeout_s`` seconds from now, in seconds of the monotonic clock; :data:`NEVER` for None."""
    return NEVER if timeout_s is None else monotonic() + timeout_s


def left_s(deadline: float) -> float:
    """Seconds left, negative when it has passed, infinite for :data:`NEVER`."""
    return deadline - monotonic()


def to_wire_ms(deadline: float, now_s: float) -> int:
    """Milliseconds left as a frame carries them: 0 = no deadline, otherwise at least 1."""
    if deadline == NEVER:
        return 0
    left_ms = int((deadline - now_s) * 1000)
    return 1 if left_ms < 1 else min(left_ms, _LONGEST_MS)


def from_wire_ms(left_ms: int, now_s: float) -> float:
    """The moment that :func:`to_wire_ms` spoke of, on the clock of this machine."""
    return now_s + left_ms / 1000 if left_ms else NEVER
