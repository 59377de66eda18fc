"""What type checkers say of programs that use mesh: the files beside this one, checked as a user would check them.

A line with ``# error: code`` has to be reported, every other line has not; the code is mypy's, for pyright the line
is enough. The right lines have ``assert_type``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
LIMIT_S = 150

pytestmark = [pytest.mark.feature("1"), pytest.mark.feature("46c")]


@pytest.mark.parametrize(
    ("file", "options"),
    [
        pytest.param("decorated.py", ("--config-file", "tests/types/mypy.ini"), id="mypy with the plugin"),
        pytest.param("plain.py", ("--config-file=",), id="mypy without it"),
    ],
)
def test_mypy_reports_the_mistakes_and_nothing_else(file: str, options: tuple[str, ...]) -> None:
    cache = ROOT / ".mypy_cache" / file  # one each: with another plugin mypy begins anew
    command = (sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", cache)
    done = _run(*command, *options, FOLDER / file)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    reported: dict[int, set[str]] = {}
    # Where the library is found in the current directory instead of as installed, mypy reports on that, too.
    for line, code in re.findall(rf"^\S*\b{file}:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE):
        reported.setdefault(int(line), set()).add(code)
    assert reported == expected_in(file), done.stdout


def test_pyright_reports_the_mistakes_and_nothing_else() -> None:
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent))
    if pyright is None:
        pytest.skip("pyright is not installed")
    try:
        done = _run(pyright, "--outputjson", "--pythonpath", sys.executable, FOLDER / "plain.py")
    except subprocess.TimeoutExpired as late:
        pytest.skip(f"pyright has not ended after {late.timeout} s, it may be waiting for npm")
    if not done.stdout.startswith("{"):
        pytest.skip(f"pyright does not start, it may not have reached npm: {(done.stdout + done.stderr)[-300:]}")
    found = json.loads(done.stdout)["generalDiagnostics"]
    reported = {entry["range"]["start"]["line"] + 1 for entry in found if entry["severity"] == "error"}
    assert reported == set(expected_in("plain.py")), done.stdout


def expected_in(file: str) -> dict[int, set[str]]:
    """The lines that have to be reported, with the codes of mypy."""
    lines = (FOLDER / file).read_text().splitlines()
    marked = ((number, re.search(r"# error: ([\w, -]+)$", line)) for number, line in enumerate(lines, 1))
    return {number: set(match[1].split(", ")) for number, match in marked if match}


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
