"""``meshctl run`` with a config file and with ``--reload``, and commands that find no mesh to speak to."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.e2e.commands import ROOT, Running, meshctl, serving, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file in ("shop.py", "shop.yaml"):
        shutil.copy(ROOT / "tests" / "services" / file, tmp_path)
    return tmp_path


def _ask(url: str) -> Any:
    return json.loads(urlopen(url, timeout=30).read())


def test_without_a_detached_mesh_it_is_said_how_to_start_one(folder: Path) -> None:
    ended = meshctl("deploy", "shop:node", cwd=folder)
    assert (ended.code, ended.stderr) == (1, "meshctl: no detached mesh is running: start one with `meshctl start`\n")
    ended = meshctl("shutdown", cwd=folder)
    assert (ended.code, ended.stderr) == (1, "meshctl: no detached mesh is running\n")


@pytest.mark.feature("63")
def test_run_takes_a_config_file(folder: Path) -> None:
    with serving("shop.yaml", cwd=folder) as running:
        assert _ask(f"{running.url}/second") == ["Hello", 3]
        ended = running.stop()
    assert ended.code == 0
    assert f"first is running at {running.url}/first" in ended.stdout
    wrong = meshctl("run", "shop.yaml", "--name", "x", cwd=folder)
    assert (wrong.code, wrong.stderr.startswith("meshctl: --name cannot be given with a config file")) == (1, True)


@pytest.mark.feature("63")
def test_run_with_reload_deploys_what_changes(folder: Path) -> None:
    (folder / "fresh.py").write_text("import mesh\nimport fresh_word\n\n@mesh.deployment\ndef fresh():\n"
                                     "    return fresh_word.WORD\n\nnode = fresh.bind()\n")  # fmt: skip
    word = folder / "fresh_word.py"
    word.write_text("WORD = 'first'\n")
    with serving("fresh:node", "--reload", cwd=folder) as running:
        wait_until(lambda: "looking for changes" in _so_far(running))
        assert urlopen(running.url, timeout=30).read() == b"first"
        _rewrite(
            word, "WORD = 'second, longer'\n", lambda: urlopen(running.url, timeout=30).read() == b"second, longer"
        )
        _rewrite(word, "WORD = broken\n", lambda: "what ran before runs on" in _so_far(running))
        assert urlopen(running.url, timeout=30).read() == b"second, longer"
        _rewrite(word, "WORD = 'third'\n", lambda: urlopen(running.url, timeout=30).read() == b"third")
        ended = running.stop()
    assert ended.code == 0, ended.stderr
    assert "NameError: name 'broken' is not defined" in ended.stderr


def _so_far(running: Running) -> str:
    return Path(f"/proc/self/fd/{running.errors.fileno()}").read_text()


def _rewrite(file: Path, text: str, is_seen: Callable[[], bool]) -> None:
    """Write a file with a time of its own, as an editor that is slower than a clock tick would."""
    file.write_text(text)
    os.utime(file, (time.time(), file.stat().st_mtime + 2))
    wait_until(is_seen)
