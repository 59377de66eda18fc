"""How many replicas a deployment that autoscales is to have: what is called for, and when that is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf

from mesh.autoscaling import AutoscalingConfig

TOLERANCE = 0.1
"""So much of a replica may be lacking before another one is called for: a mean is never quite a whole number."""


HEADROOM = 0.2
"""A replica is ended only when so much more could come and the others would do: or it would soon be started again."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What was called for before now, as far as it counts.

    ``more_since_s``: more replicas than there are have been called for without a break. ``recent`` are the numbers
    called for with the moment of each one's last time, the larger and older first: what is before a larger one is left
    out. ``known_since_s`` is when that began to be kept.
    """

    known_since_s: float
    more_since_s: float | None = None
    recent: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """So many replicas from now on, and when to look again although nothing has changed."""

    replicas: int
    trend: Trend
    look_at_s: float


def called_for(config: AutoscalingConfig, ongoing: float, present: int) -> int:
    """The replicas that the rule calls for at a mean of ``ongoing`` requests while there are ``present``."""
    needed = ongoing / config.target_ongoing_requests
    least = 1 if ongoing > 0 else 0  # none at all is for when nothing is asked
    if max(least, ceil(needed - TOLERANCE)) > present:
        called = max(present + 1, ceil(present + (needed - present) * config.upscaling_factor - TOLERANCE))
        return config.bounded(called)
    needed *= 1 + HEADROOM
    if max(least, ceil(needed - TOLERANCE)) < present:
        called = min(present - 1, ceil(present + (needed - present) * config.downscaling_factor - TOLERANCE))
        return config.bounded(max(least, called))
    return config.bounded(present)


def decide(config: AutoscalingConfig, called: int, present: int, trend: Trend, now_s: float) -> Decision:
    """What follows from ``called``, the replicas called for now, while there are ``present``.

    More: as many as are called for now, once more were during all of ``upscale_delay_s``. Fewer: the most that were
    called for during ``downscale_delay_s``. So a dip in the load ends nothing, and what was just started stays.
    """
    more_since_s = None if called <= present else now_s if trend.more_since_s is None else trend.more_since_s
    recent = _with_called(trend.recent, called, now_s, now_s - config.downscale_delay_s)
    trend = Trend(trend.known_since_s, more_since_s, recent)
    if more_since_s is not None:
        due_s = more_since_s + config.upscale_delay_s
        if due_s > now_s:
            return Decision(present, trend, due_s)
        return Decision(called, Trend(trend.known_since_s, None, recent), inf)
    most = recent[0][1]
    forgotten_s = recent[0][0] + config.downscale_delay_s + 0.001 if len(recent) > 1 else inf
    if most >= present:
        return Decision(present, trend, forgotten_s)
    due_s = trend.known_since_s + config.downscale_delay_s
    return Decision(present, trend, due_s) if due_s > now_s else Decision(most, trend, forgotten_s)


def _with_called(
    recent: tuple[tuple[float, int], ...], called: int, now_s: float, from_s: float
) -> tuple[tuple[float, int], ...]:
    """With one more number. What was called for last was so until now; what ended before ``from_s`` is forgotten."""
    if recent:
        recent = (*recent[:-1], (now_s, recent[-1][1]))
    larger = tuple(one for one in recent if one[1] > called and one[0] >= from_s)
    return (*larger, (now_s, called))
