"""docs/meshctl.md says what the commands say of themselves."""

from __future__ import annotations

from mesh.cli.commands import COMMANDS
from tests.documentation.command_help import PAGE, shown, wanted


def test_page_has_the_help_of_every_command() -> None:
    assert shown().splitlines() == wanted().splitlines(), "run `python -m tests.documentation`, and read what it wrote"


def test_guide_tells_of_every_command() -> None:
    guide = PAGE.read_text().partition("## Every command")[0]
    assert [name for name in COMMANDS if f"meshctl {name}" not in guide] == []
