"""The pages of the documentation, done as a reader would: their files in a folder, their commands in a terminal.

How blocks are written is told in :mod:`tests.documentation.blocks`, what is not run in
:mod:`tests.documentation.not_run`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documentation.blocks import PAGES, ROOT, blocks_of, commands_of, files_of
from tests.documentation.not_run import LOCAL, RUN_ELSEWHERE, is_run
from tests.documentation.terminal import Terminal

NAMES = [str(page.relative_to(ROOT)) for page in PAGES if "```console" in page.read_text()]

# The rows of docs/features.md that a page shows beside what its words say.
SHOWS = {
    "docs/configuration.md": ("65",),
    "docs/deploying.md": ("28",),
    "docs/handles.md": ("57",),
    "docs/meshctl.md": ("63",),
}


@pytest.fixture
def folder(places: Path) -> Iterator[Path]:
    """A folder for one page, whose path is short enough for the sockets of meshes below it."""
    with tempfile.TemporaryDirectory(prefix="page-") as name:
        yield Path(name)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.feature(row) for row in SHOWS.get(page, ())])
        for page in NAMES
        if page not in RUN_ELSEWHERE
    ],
)
def test_page(page: str, folder: Path) -> None:
    blocks = blocks_of((ROOT / page).read_text())
    terminal = Terminal(folder, files_of(blocks), is_local=page in LOCAL)
    try:
        for command in commands_of(blocks):
            if is_run(page, command.typed):
                terminal.run(command)
        terminal.stop()
    finally:
        terminal.close()
