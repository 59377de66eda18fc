"""The rows of docs/features.md, and the marks that say which tests show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def rows() -> dict[str, str]:
    """What holds, by row, in the order of the page."""
    return dict(re.findall(r"^\| (\d+[a-z]?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE))


def marked_tests(items: Iterable[pytest.Item]) -> dict[str, list[str]]:
    """The tests that bear the mark of a row, without their parameters, each once."""
    shown: dict[str, dict[str, None]] = {}
    for item in items:
        for mark in item.iter_markers("feature"):
            for row in mark.args:
                shown.setdefault(str(row), {})[item.nodeid.partition("[")[0]] = None
    return {row: list(tests) for row, tests in shown.items()}


def table(known: Mapping[str, str], shown: Mapping[str, list[str]]) -> list[str]:
    """One line for each row, and below it one for each of its tests."""
    lines = []
    for row, text in known.items():
        tests = shown.get(row, [])
        lines.append(f"{row:>4}  {text}" if tests else f"{row:>4}  NO TEST  {text}")
        lines += [f"      - {test}" for test in tests]
    return lines
