"""``python -m tests.documentation``: bring the help of the commands in docs/meshctl.md up to date."""

from __future__ import annotations

from tests.documentation.command_help import write

write()
