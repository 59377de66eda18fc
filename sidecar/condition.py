"""How the user's object in a replica is, beside being there: what the controller hears of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """``user_config`` was taken by ``reconfigure``, on ``refused`` it raised ``refusal``; both as JSON, "" = none.

    ``failed_checks`` calls of ``check_health`` have failed in a row, the last one for the reason ``check_failure``.
    """

    user_config: str = ""
    refused: str = ""
    refusal: str = ""
    failed_checks: int = 0
    check_failure: str = ""
