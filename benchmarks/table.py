"""Rows as text: a line each for a terminal, a table for a document. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.row import Row, Spread

BEGIN = "<!-- the table of `make bench` begins -->"
END = "<!-- the table of `make bench` ends -->"

_WIDTHS = (60, 14, 9, 9, 22, 14, 8, 19)
_HEADS = ("", "unit", "mesh", "baseline", "ratio (spread)", "target", "reached", "CPU us a request")
_CAPTION = "CPU us a request: of all processes, mesh / baseline."


def head() -> str:
    """The line above all others."""
    return _line(_HEADS)


def line(row: Row) -> str:
    """One row of the table of a terminal."""
    return _line(_cells(row))


def footer(rows: Sequence[Row]) -> str:
    """How many targets were reached, which were not, and what did not run."""
    bound = [row for row in rows if row.target is not None]
    reached = [row for row in bound if row.is_reached]
    missed = [row for row in bound if row.is_reached is False]
    lines = [_CAPTION, f"{len(reached)} of {len(bound)} targets reached, {len(missed)} missed"]
    lines += [f"not reached: {row.benchmark}: {row.what}, {row.unit}: {row.target}" for row in missed]
    lines += [f"not run: {why}" for why in dict.fromkeys(row.not_run for row in rows if row.not_run)]
    return "\n".join(lines)


def markdown(rows: Sequence[Row]) -> str:
    """The whole table for a document, one section for each benchmark."""
    heads = ("what", *_HEADS[1:-1], "CPU us")
    lines = []
    for benchmark in dict.fromkeys(row.benchmark for row in rows):
        lines += [f"### {benchmark.replace('_', ' ')}", "", _markdown_line(heads)]
        lines.append("|---|---|" + "--:|" * 2 + "---|" * 3 + "--:|")
        lines += [_markdown_line(_cells(row)) for row in rows if row.benchmark == benchmark]
        lines.append("")
    return "\n".join([*lines, _CAPTION])


def replace_table(document: str, table: str) -> str:
    """The document with everything between :data:`BEGIN` and :data:`END` replaced. Raises ValueError without them."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document must have a line {BEGIN!r} and below it a line {END!r}")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def number(value: float) -> str:
    """Three digits that say something: 31,204 and 3.12 and 0.312."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{1 if abs(value) >= 10 else 2}f}"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.what,
        row.unit,
        _median(row.mesh) or "not run",
        _median(row.baseline),
        _ratio(row.ratio),
        str(row.target or ""),
        {True: "yes", False: "NO", None: ""}[row.is_reached],
        " / ".join(filter(None, (_median(row.cpu_us), _median(row.baseline_cpu_us)))),
    )


def _median(spread: Spread | None) -> str:
    return "" if spread is None else number(spread.median)


def _ratio(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:.2f}x ({spread.lowest:.2f}-{spread.highest:.2f})"


def _line(cells: Sequence[str]) -> str:
    (what, unit, *figures), (widest, *_) = cells, _WIDTHS
    aligned = [f"{cell:>{width}}" for cell, width in zip(figures, _WIDTHS[2:], strict=True)]
    return f"{what:{widest}} {unit:{_WIDTHS[1]}} {' '.join(aligned)}".rstrip()


def _markdown_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
