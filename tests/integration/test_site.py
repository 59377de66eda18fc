"""The site of the documentation builds without a warning, and tells of every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation.public_names import public_names

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr  # quiet, it would not count warnings
    return folder


def test_every_public_name_has_its_place(site: Path) -> None:
    pages = "".join(page.read_text() for page in (site / "api").glob("*.html"))
    places = set(re.findall(r'id="(mesh[\w.]*)"', pages))
    assert sorted(name for name in public_names() if name not in places) == []


def test_names_in_docstrings_are_links_and_doctests_are_code(site: Path) -> None:
    page = (site / "api" / "mesh.html").read_text()
    assert ":class:" not in page
    assert re.search(r'<a [^>]*href="errors.html#mesh.errors.DeployFailed"[^>]*><code>DeployFailed</code></a>', page)
    assert '<span class="gp">&gt;&gt;&gt; </span>' in (site / "api" / "dag.html").read_text()


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]* href="https?:')
    assert [page.name for page in site.rglob("*.html") if fetched.search(page.read_text())] == []
