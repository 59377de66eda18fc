"""Which replicas are left alone because they fail while others do not. Pure.

A failure is an attempt to connect that failed, a session that was cut, or a call that ended with an exception of the
user's code. The last are counted too: a replica whose device is broken raises at once, has the shortest queue, and
would get most of the calls. One caller with bad arguments makes all replicas raise, and then none is ejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CUTS = 2
"""So many sessions in a row that were cut, or did not come about, are a reason."""
ERRORS = 10
"""So many calls in a row that raised are a reason."""
FIRST_EJECTION_S = 0.2
LONGEST_EJECTION_S = 30.0
"""Each ejection lasts twice as long as the one before, until the replica answers well."""


class Standing(NamedTuple):
    """How one replica did lately, in the eyes of one router."""

    cuts: int
    """Sessions in a row that were cut or did not come about."""
    errors: int
    """Calls in a row that ended with an exception of the user's code."""
    is_ejected: bool

    @property
    def fails(self) -> bool:
        """There is a reason to leave it alone."""
        return self.cuts >= CUTS or self.errors >= ERRORS


def most(replicas: int) -> int:
    """So many of them may be left alone at a time: no more than half, and never the only one."""
    return replicas // 2


def to_be_ejected(standings: Sequence[Standing]) -> list[int]:
    """The indices of those to be left alone from now on: never more than half, and those that fail most first.

    A replica whose calls raise is ejected only while more than half of the others have none that raise in a row.
    """
    failing = [i for i, standing in enumerate(standings) if standing.fails and not standing.is_ejected]
    if not failing:
        return failing
    left = most(len(standings)) - sum(standing.is_ejected for standing in standings)
    failing = [i for i in failing if standings[i].cuts >= CUTS or _is_alone(i, standings)]
    failing.sort(key=lambda i: (standings[i].cuts, standings[i].errors), reverse=True)
    return failing[: max(0, left)]


def ejection_s(times: int) -> float:
    """How long an ejection lasts that follows ``times`` others without a good answer in between."""
    return min(FIRST_EJECTION_S * 2.0 ** min(times, 30), LONGEST_EJECTION_S)


def _is_alone(index: int, standings: Sequence[Standing]) -> bool:
    others = [standing for i, standing in enumerate(standings) if i != index]
    return 2 * sum(standing.errors < ERRORS // 2 for standing in others) > len(others)
