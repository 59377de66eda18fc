"""Deployments whose constructors raise."""

from __future__ import annotations

from pathlib import Path

import mesh
from tests.services.journal import Journal, wait_for_file


@mesh.deployment(name="Service")
class Failing:
    """Raises when it is made; from the second try on only after ``go_on`` exists."""

    def __init__(self, journal: Path, go_on: Path) -> None:
        tries = Journal(journal)
        tries.write("try")
        if len(tries.keys("try")) > 1:
            wait_for_file(go_on)
        raise LookupError("no model under that name")


@mesh.deployment(name="Recovering")
class Recovering:
    """Raises twice when it is made; the third try succeeds."""

    def __init__(self, journal: Path) -> None:
        tries = Journal(journal)
        tries.write("try")
        if len(tries.keys("try")) < 3:
            raise LookupError("not there yet")

    def ready(self) -> bool:
        """It answers."""
        return True
