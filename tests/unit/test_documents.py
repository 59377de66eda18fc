"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_index_of_decisions_has_every_decision_under_its_title() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"^\| \[(\d+)\]\((.+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE))
    decisions = [path for path in folder.glob("*.md") if path.name != "README.md"]
    titles = {(path, path.read_text().partition("\n")[0].removeprefix("# ")) for path in decisions}
    assert listed == {(path.name[:3], path.name, title.partition(" ")[2]) for path, title in titles}
