"""What one place in the queue of each replica costs, beside the others: 1 where all are alike. Pure.

A replica that is slow is one whose calls take longer than those of others, by what it reports or because it has been
silent for longer while it has calls. Within a factor of three that is noise, and queue length alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIKE = 3.0
"""Service times that differ by no more than this factor are taken as the same."""
SILENT = 5.0
"""Silence of this many usual service times is a sign: single calls may well take twice as long as others."""
MOST_BY_SILENCE = 20.0
"""Silence alone makes nobody slower than this: it may be one call that takes long where others take no time."""
SHORTEST_S = 0.003
"""Service times below this are taken as this: what differs then is the machine."""


class Seen(NamedTuple):
    """One replica, as one router sees it."""

    service_time_s: float
    """How long its user code lately took for a call, as it says; 0 = not known."""
    silent_s: float
    """How long nothing has come from it although it works on calls of this router; 0 when it does not."""


def usual_service_time_s(seen: Sequence[Seen]) -> float:
    """How long a call takes at a replica that is in good shape; 0 when that is not known of any.

    It is the lower quartile: the shortest of many would be luck, and half of all may be slow.
    """
    known = sorted(max(one.service_time_s, SHORTEST_S) for one in seen if one.service_time_s)
    return known[(len(known) - 1) // 4] if known else 0.0


def weight(seen: Seen, usual_s: float) -> float:
    """The service time to be expected of a replica in units of the usual one."""
    if not usual_s:
        return 1.0
    service_time_s = max(seen.service_time_s, SHORTEST_S) if seen.service_time_s else usual_s
    ratio = service_time_s / usual_s
    if seen.silent_s > SILENT * usual_s:
        ratio = max(ratio, min(seen.silent_s / usual_s, MOST_BY_SILENCE))
    return 1.0 if 1 / ALIKE <= ratio <= ALIKE else ratio
