"""Tables for people, and how long ago something was in words. What is in a table is decided without rich."""

from __future__ import annotations

from collections.abc import Sequence

Row = tuple[str, ...]

_COLOURS = {"RUNNING": "green", "DEPLOYING": "yellow", "STARTING": "yellow", "DEPLOY_FAILED": "red"}
_WIDTH_WITHOUT_TERMINAL = 200


def print_table(columns: Row, rows: Sequence[Row]) -> None:
    """Print a table to standard output; in colours on a terminal, of any width elsewhere."""
    import sys

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table)


def ago(seconds: float) -> str:
    """A duration as people say it.

    >>> [ago(5.4), ago(70), ago(7200), ago(200_000)]
    ['5 s', '1 min', '2 h', '2 d']
    """
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{int(seconds // length_s)} {unit}"
    return f"{int(seconds)} s"
