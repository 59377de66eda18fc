"""How far an update may go beyond the wanted number of replicas, and below it: numbers, or percentages of it. Pure.

As in Kubernetes: a percentage of ``max_surge`` is rounded up and one of ``max_unavailable`` down, and where both come
to nothing one replica may be missing, since otherwise there would be no way on.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache

from mesh.errors import ConfigError

Limit = int | str
"""A number of replicas, or a percentage such as "25%" of the number that is wanted."""


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Replicas that there may be ``surge`` more than wanted during an update, and ``unavailable`` fewer."""

    surge: int
    unavailable: int

    @classmethod
    @lru_cache
    def of(cls, max_surge: Limit, max_unavailable: Limit, wanted: int) -> UpdateLimits:
        """The limits where ``wanted`` replicas are wanted.

        >>> UpdateLimits.of("25%", "25%", wanted=10)
        UpdateLimits(surge=3, unavailable=2)
        >>> UpdateLimits.of(0, "10%", wanted=3)
        UpdateLimits(surge=0, unavailable=1)
        """
        surge = math.ceil(_part(max_surge) * wanted / 100) if isinstance(max_surge, str) else max_surge
        unavailable = (
            math.floor(_part(max_unavailable) * wanted / 100) if isinstance(max_unavailable, str) else max_unavailable
        )
        return cls(surge, unavailable if surge or unavailable else 1)


def check_limit(setting: str, value: object) -> None:
    """Raises :class:`ConfigError` for what is neither a number of replicas nor a percentage."""
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32
    if not is_number and not (isinstance(value, str) and _PERCENTAGE.fullmatch(value)):
        raise ConfigError(
            f'{setting} must be a whole number of replicas from 0, or a percentage from "0%" to "100%", not {value!r}'
        )


def check_together(max_surge: Limit, max_unavailable: Limit) -> None:
    """Raises :class:`ConfigError` when no replica may be added before another goes, and none may go before."""
    if max_surge in _NONE and max_unavailable in _NONE:
        raise ConfigError(
            f"max_surge={max_surge!r} and max_unavailable={max_unavailable!r} contradict each other: an update must be "
            "allowed either a replica more than wanted for a while, or one fewer"
        )


def limit_to_wire(value: Limit) -> str:
    """A limit as the schema has it."""
    return str(value)


def limit_from_wire(text: str, default: Limit) -> Limit:
    """A limit from the schema; "" is what somebody wrote who did not know of it yet."""
    if not text:
        return default
    return text if text.endswith("%") else int(text)


_PERCENTAGE = re.compile(r"(100|[0-9]{1,2})%")
_NONE = (0, "0%", "00%")


def _part(percentage: str) -> int:
    return int(percentage.removesuffix("%"))
