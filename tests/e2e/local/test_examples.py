"""The whole folder of examples in one process, with the results that it has with processes.

What is served has to print what tests/e2e/test_examples.py has it print with processes. Scripts are run in both modes
and have to print the same, but for process ids and measured times.
"""

from __future__ import annotations

import importlib
import re

import pytest

import mesh
from tests.e2e.commands import ROOT, Ended, run_python
from tests.e2e.local.conftest import LocalMesh
from tests.e2e.test_examples import SERVED

LOCAL = {"MESH_LOCAL": "1"}


@pytest.mark.parametrize(("node", "printed"), SERVED)
def test_served_example_answers_its_client(own_mesh: LocalMesh, node: str, printed: str) -> None:
    module, _, name = node.partition(":")
    mesh.run(getattr(importlib.import_module(f"examples.{module}"), name))
    client = run_python("-m", f"examples.{module}_client", own_mesh.url)
    assert (client.stdout, client.stderr, client.code) == (printed, "", 0)


SCRIPTS = [("arithmetic",), ("key_concepts", "0"), ("drawing",), ("digits.demo",)]
PARTS = {"digits.graph", "digits.images"}
"""What a script of the folder imports."""
OF_PROCESSES = {"clients.served", "clients.python.client"}
"""They are about the gRPC door, which a local mesh has not."""


def test_every_example_is_here() -> None:
    folder = ROOT / "examples"
    there = {".".join(file.relative_to(folder).with_suffix("").parts) for file in folder.rglob("*.py")}
    served = {str(case.values[0]).partition(":")[0] for case in SERVED}
    run = {*served, *(f"{module}_client" for module in served), *(module for module, *_ in SCRIPTS)}
    assert {module for module in there if not module.endswith("__init__")} == run | PARTS | OF_PROCESSES


@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
def test_script_prints_the_same_with_and_without_processes(script: tuple[str, ...]) -> None:
    with_processes, without = (_run(script, environment) for environment in ({"MESH_LOCAL": "0"}, LOCAL))
    assert without.code == with_processes.code == 0, without.stderr
    assert _without_what_differs(without.stdout) == _without_what_differs(with_processes.stdout)


def _run(script: tuple[str, ...], environment: dict[str, str]) -> Ended:
    module, *arguments = script
    return run_python("-m", f"examples.{module}", *arguments, env=environment)


def _without_what_differs(printed: str) -> str:
    """Without process and replica ids, ports and measured times."""
    for pattern in (r"pid['\"]?:? *\d+", r"#[0-9a-f]{6}", r":\d+/", r"\d+/s", r"[\d.]+ ms"):
        printed = re.sub(pattern, "-", printed)
    return re.sub(r" +", " ", printed)
