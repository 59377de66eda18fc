"""The command line itself: help, usage, and what it imports for them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.cli.commands import COMMANDS, app

MESHCTL = str(Path(sys.executable).with_name("meshctl"))


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert not command or f"Example: meshctl {command[0]} " in " ".join(result.output.split()) + " "


def test_list_of_commands_says_what_each_does_in_a_line() -> None:
    """Without importing any: so the table that it is made from has to agree with the modules."""
    lines = CliRunner().invoke(app, ["--help"]).output.partition("Commands:\n")[2].splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [[name, line] for name, (_, line) in COMMANDS.items()]
    for name, (module, _) in COMMANDS.items():
        assert callable(getattr(import_module(module), name))


def test_error_is_told_in_one_line_with_exit_code_1(tmp_path: Path) -> None:
    done = subprocess.run(
        [MESHCTL, "run", "nowhere:node"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("meshctl: there is no module 'nowhere' in ")
    assert done.stderr.count("\n") == 1


def test_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(app, ["deplore"])
    assert result.exit_code == 2
    assert "No such command 'deplore'" in result.output


@pytest.mark.feature("64")
@pytest.mark.parametrize(
    ("words", "offered"),
    [("meshctl s", {"start", "status", "scale", "shutdown"}), ("meshctl scale --", {"--mesh", "--address", "--help"})],
)
def test_a_shell_completes_commands_and_options(words: str, offered: set[str]) -> None:
    script = subprocess.run([MESHCTL, "completion", "bash"], capture_output=True, text=True, timeout=60, check=True)
    assert "_MESHCTL_COMPLETE=complete_bash" in script.stdout
    asked = {"_MESHCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([MESHCTL], env=os.environ | asked, capture_output=True, text=True, timeout=60, check=False)
    assert set(done.stdout.split()) == offered


def test_ctrl_c_while_mesh_is_being_imported_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import mesh\n\n@mesh.deployment\ndef model():\n    return 1\n\nnode = model.bind()\n"
    )
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'mesh.meshes':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from mesh.cli.__main__ import main\n"
        "sys.argv = ['meshctl', 'run', 'model:node']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
