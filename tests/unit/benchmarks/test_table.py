"""Rows as lines of a terminal and as a table of a document."""

from __future__ import annotations

import pytest

from benchmarks import table
from benchmarks.row import Measured, Round, Row, at_most, times_at_least

REACHED = Row(
    "handle_calls",
    "async def, 256 at a time",
    "calls/s",
    (Round(Measured({"calls/s": 31204.0}, 28.0), Measured({"calls/s": 3000.0}, 300.0)),),
    times_at_least(8),
)
MISSED = Row("start_up", "to the first 200", "s", (Round(Measured({"s": 0.912})),), at_most(0.8))
NOT_RUN = Row("http_requests", "no-op", "p50 ms", (), at_most(1), "wrk is not installed")


def words_of(row: Row) -> str:
    return " ".join(table.line(row).split())


def test_line_has_figures_ratio_target_and_cpu_time() -> None:
    assert words_of(REACHED) == (
        "async def, 256 at a time calls/s 31,204 3,000 10.40x (10.40-10.40) at least 8x yes 28.0 / 300"
    )


def test_line_says_no_aloud_and_leaves_out_what_is_not_there() -> None:
    assert words_of(MISSED) == "to the first 200 s 0.912 at most 0.8 NO"


def test_line_of_what_did_not_run_says_so() -> None:
    assert words_of(NOT_RUN) == "no-op p50 ms not run at most 1"


def test_columns_stand_below_each_other() -> None:
    ends = {line.index(word) + len(word) for line, word in ((table.head(), "mesh"), (table.line(REACHED), "31,204"))}
    assert len(ends) == 1


def test_footer_counts_targets_and_names_what_was_missed_or_not_run() -> None:
    lines = table.footer([REACHED, MISSED, NOT_RUN, NOT_RUN]).splitlines()
    assert lines[1:] == [
        "1 of 4 targets reached, 1 missed",
        "not reached: start_up: to the first 200, s: at most 0.8",
        "not run: wrk is not installed",
    ]


def test_markdown_has_a_section_for_each_benchmark() -> None:
    text = table.markdown([REACHED, MISSED])
    assert [line for line in text.splitlines() if line.startswith("### ")] == ["### handle calls", "### start up"]
    columns = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert columns == {9}


def test_table_of_a_document_is_replaced_and_the_rest_stays() -> None:
    document = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    once = table.replace_table(document, "new")
    assert once == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
    assert table.replace_table(once, "new") == once


@pytest.mark.parametrize(
    "document", ["", table.BEGIN, f"{table.END}\n{table.BEGIN}"], ids=["none", "no end", "swapped"]
)
def test_document_without_marks_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="must have a line"):
        table.replace_table(document, "new")


@pytest.mark.parametrize(
    ("value", "text"),
    [(31204.4, "31,204"), (128.4, "128"), (99.94, "99.9"), (3.123, "3.12"), (0.0712, "0.0712"), (0, "0")],
)
def test_number_has_three_digits_that_say_something(value: float, text: str) -> None:
    assert table.number(value) == text
