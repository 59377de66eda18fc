"""Checks of numbers in settings, which say what would be right. Pure."""

from __future__ import annotations

import math
from typing import Any

from mesh.errors import ConfigError

LARGEST_UINT32 = 2**32 - 1


def check_whole_number(setting: str, value: object, *, at_least: int, at_most: int = LARGEST_UINT32) -> None:
    """Raises :class:`ConfigError` for what is no whole number within the bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
        raise ConfigError(f"{setting} must be a whole number from {at_least} to {at_most}, not {value!r}")


def check_number(setting: str, value: Any, *, zero_allowed: bool, otherwise: str = "") -> None:
    """Raises :class:`ConfigError` for what is no finite number above 0, or of at least 0."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if number and (value > 0 or (zero_allowed and value == 0)):
        return
    bound = "of at least 0" if zero_allowed else "above 0"
    raise ConfigError(f"{setting} must be a number {bound}{otherwise}, not {value!r}")
