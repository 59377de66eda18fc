"""The documents are whole: links lead somewhere, blocks are such as can be run, and the site has every page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documentation.blocks import PAGES, ROOT, blocks_of, commands_of, mistakes, unused_files
from tests.documentation.not_run import NOT_RUN, RUN_ELSEWHERE
from tests.documentation.terminal import as_pattern

DOCS = ROOT / "docs"


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_can_be_run_or_is_no_code(page: Path) -> None:
    assert list(mistakes(page.read_text())) == []


@pytest.mark.parametrize("page", [page for page in PAGES if _name(page) not in RUN_ELSEWHERE], ids=_name)
def test_every_file_is_used_by_a_command_of_its_page(page: Path) -> None:
    assert unused_files(blocks_of(page.read_text())) == set()


def test_what_is_not_run_is_still_there() -> None:
    typed = {page: {command.typed for command in commands_of(blocks_of((ROOT / page).read_text()))} for page in NOT_RUN}
    assert [(page, one) for page, commands in NOT_RUN.items() for one in commands if one not in typed[page]] == []


def test_pages_that_are_run_elsewhere_are_named_there() -> None:
    assert [page for page, module in RUN_ELSEWHERE.items() if page not in (ROOT / module).read_text()] == []


@pytest.mark.parametrize(
    ("page", "mistake"),
    [
        pytest.param("```python\nimport mesh\n```", "line 1: a python block begins with", id="code without a name"),
        pytest.param("```sh\nls\n```", "line 1: a block is one of", id="a language that nothing runs"),
        pytest.param("```\nls\n```", "line 1: a block is one of", id="no language"),
        pytest.param("Run\n\n```console\nls\n```", "line 3: a console block begins with", id="no command"),
        pytest.param("```python\n# a.py\n1\n```\n```python\n# a.py\n2\n```", "two blocks are called a.py", id="twice"),
        pytest.param("Run it:\n\n    $ ls\n", "code is fenced, not indented: $ ls", id="indented code"),
    ],
)
def test_a_block_that_nothing_would_run_is_a_mistake(page: str, mistake: str) -> None:
    [found] = mistakes(page)
    assert found.startswith(mistake)


def test_a_file_that_no_command_uses_is_found() -> None:
    page = (
        "```python\n# shop.py\nfrom prices import tea\n```\n```python\n# prices.py\ntea = 3\n```\n"
        "```python\n# other.py\n1\n```\n```console\n$ meshctl run shop:node\n```\n"
    )
    assert unused_files(blocks_of(page)) == {"other.py"}


def test_commands_have_what_they_print_and_how_they_end() -> None:
    page = "```console\n$ echo a \\\n    b\na b\n$ meshctl run shop:node\nrunning\n^C\n$ true\n```\n"
    assert [(one.typed, one.expected, one.ends) for one in commands_of(blocks_of(page))] == [
        ("echo a \\\n    b", "a b", False),
        ("meshctl run shop:node", "running", True),
        ("true", "", False),
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "is_it"),
    [
        pytest.param("a\nb", "a\nb", True, id="the same"),
        pytest.param("a\nb", "a\nb\nc", False, id="a line more"),
        pytest.param("pid ...", "pid 4711", True, id="what varies in a line"),
        pytest.param("pid ...", "pid 4711\nmore", False, id="only in its line"),
        pytest.param("a\n...\nd", "a\nb\nc\nd", True, id="any lines"),
        pytest.param("a\n...\nd", "a\nd", True, id="no lines"),
        pytest.param("a\n...", "a\nb\nc", True, id="lines at the end"),
        pytest.param("1.5", "1x5", False, id="a dot is a dot"),
    ],
)
def test_what_a_page_shows_is_what_is_printed(expected: str, printed: str, is_it: bool) -> None:
    assert bool(as_pattern(expected).fullmatch(printed)) is is_it


def test_index_of_decisions_has_every_decision_under_its_title() -> None:
    folder = DOCS / "decisions"
    listed = set(re.findall(r"^\| \[(\d+)\]\((.+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE))
    decisions = [path for path in folder.glob("*.md") if path.name != "README.md"]
    titles = {(path, path.read_text().partition("\n")[0].removeprefix("# ")) for path in decisions}
    assert listed == {(path.name[:3], path.name, title.partition(" ")[2]) for path, title in titles}


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    class Loader(yaml.SafeLoader):
        """Takes the tags by which mkdocs.yml names functions."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    listed = sorted(_pages_of(settings["nav"]))
    assert listed == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def _pages_of(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [page for one in (entry.values() if isinstance(entry, dict) else entry) for page in _pages_of(one)]
