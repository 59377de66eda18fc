"""``meshctl graph`` on a module of the user's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MESHCTL = str(Path(sys.executable).with_name("meshctl"))
APPLICATION = """
import mesh
from mesh.dag import InputNode

@mesh.deployment
def double(number):
    return 2 * number

with InputNode() as number:
    output = double.bind(number)
"""


def _graph(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "doubling.py").write_text(APPLICATION)
    return subprocess.run(
        [MESHCTL, "graph", "doubling:output", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.feature("99")
def test_text_goes_to_stdout(tmp_path: Path) -> None:
    done = _graph(tmp_path)
    assert (done.stdout, done.stderr) == ("digraph G {\nrankdir=LR;\nINPUT_NODE -> double;\n}\n", "")


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_picture_is_written(tmp_path: Path) -> None:
    done = _graph(tmp_path, "--output", "graph.svg")
    assert done.stdout == "wrote graph.svg\n"
    assert "<svg" in (tmp_path / "graph.svg").read_text()


def test_unknown_kind_of_picture_is_an_error(tmp_path: Path) -> None:
    done = _graph(tmp_path, "--output", "graph.notapicture")
    assert done.returncode == 1
    assert "notapicture" in done.stderr
    assert "Traceback" not in done.stderr
