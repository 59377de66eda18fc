"""How long to wait before a process that keeps ending is started again."""

from __future__ import annotations

from dataclasses import dataclass

QUICK_END_S = 2.0
"""A process that lived as long as this came up; its end says nothing about the next start."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """``quick_ends`` counts the ends in a row that came soon after the start."""

    quick_ends: int = 0

    def after_end(self, lived_s: float) -> tuple[Backoff, float]:
        """What is known after one more end, and the seconds to wait: 0, 0.1, 0.2, 0.4 ... 2."""
        quick_ends = self.quick_ends + 1 if lived_s < QUICK_END_S else 1
        if quick_ends == 1:
            return Backoff(1), 0.0
        return Backoff(quick_ends), min(FIRST_DELAY_S * 2.0 ** min(quick_ends - 2, 10), LONGEST_DELAY_S)
