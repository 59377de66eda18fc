"""The part of docs/meshctl.md that says what every command takes: it is what ``--help`` prints, command by command.

``python -m tests.documentation`` writes it; a test says when that is due.
"""

from __future__ import annotations

from typing import Final

from typer.testing import CliRunner

from mesh.cli.commands import COMMANDS, app
from tests.documentation.blocks import ROOT

PAGE: Final = ROOT / "docs" / "meshctl.md"
BEGIN, END = "<!-- the help of every command -->\n", "<!-- the help ends -->\n"


def shown() -> str:
    """What the page has now."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


def wanted() -> str:
    """What the page should have."""
    return "\n".join(
        ["", *(f"### {name}\n\n```console\n$ meshctl {name} --help\n{_help(name)}\n```\n" for name in COMMANDS), ""]
    )


def write() -> None:
    """Put the present help into the page."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    PAGE.write_text(before + begin + wanted() + end + after)


def _help(command: str) -> str:
    printed = CliRunner().invoke(app, [command, "--help"], prog_name="meshctl", terminal_width=80).output
    return "\n".join(line.rstrip() for line in printed.strip().splitlines())
