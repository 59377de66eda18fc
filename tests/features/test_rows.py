"""The table of features: every mark names a row, and a row without a test is told."""

from __future__ import annotations

import re

import pytest

from tests.features.rows import PAGE, marked_tests, rows, table


def test_every_mark_of_this_run_names_a_row(request: pytest.FixtureRequest) -> None:
    assert set(marked_tests(request.session.items)) <= set(rows())


def test_every_row_of_the_page_is_read_once() -> None:
    written = re.findall(r"^\| (\d+\w?) \|", PAGE.read_text(), re.MULTILINE)
    assert written == list(rows())
    assert len(written) > 90


def test_a_row_without_a_test_is_told() -> None:
    assert table({"1": "one", "46b": "two"}, {"1": ["tests/test_a.py::test_one"]}) == [
        "   1  one",
        "      - tests/test_a.py::test_one",
        " 46b  NO TEST  two",
    ]
