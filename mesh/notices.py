"""What mesh says to people while a program of theirs runs."""

from __future__ import annotations

import sys


def show(text: str) -> None:
    """A line on standard error."""
    if sys.stderr is not None:
        sys.stderr.write(f"mesh: {text}\n")
        sys.stderr.flush()
