"""Every example, run as its first lines say."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import grpc
import pytest

from tests.e2e.commands import ROOT, run_python, run_to_end, serving

SERVED = [
    pytest.param(
        "greeting:node",
        "Buongiorno, Dora!\nGóðan daginn, Egill!\nI only speak is, it.\n",
        id="greeting by language, composed by handles",
    ),
    pytest.param("echo:quiet", "anybody there\n", id="the first of three nodes of one class"),
    pytest.param("echo:loud", "ANYBODY THERE\n", id="the second of three nodes of one class"),
    pytest.param("echo:canyon", "anybody there anybody there anybody there\n", id="the third of three nodes"),
    pytest.param("arithmetic:request_graph", "9.0\n", id="arithmetic, the request travels through the graph"),
    pytest.param("arithmetic:graph", "9\n", id="arithmetic behind an adapter"),
    pytest.param("linear_chain:graph", "a bold claim\n", id="linear chain"),
    pytest.param(
        "branching_input:graph",
        "text: the quick brown fox\nwords: 4\nvowels: 5\ncharacters: 19\n",
        id="branching input",
    ),
    pytest.param("conditional_input:graph", "standard: 5.00\nexpress: 15.00\n", id="conditional input, all branches"),
    pytest.param(
        "conditional_input:one_branch", "standard: 5.00\nexpress: 15.00\n", id="conditional input, one branch"
    ),
]


@pytest.mark.parametrize(("node", "printed"), SERVED)
def test_served_example_answers_its_client(node: str, printed: str) -> None:
    with serving(f"examples.{node}") as running:
        client = run_python("-m", f"examples.{node.partition(':')[0]}_client", running.url)
        assert (client.stdout, client.stderr, client.code) == (printed, "", 0)
        ended = running.stop()
    assert ended.code == 0, ended.stderr


def test_arithmetic_is_tested_by_handle() -> None:
    ended = run_python("-m", "examples.arithmetic")
    assert ended.code == 0, ended.stderr
    assert ended.stdout == "0 + 2 - 1 + 3 = 4\n5 + 2 - 1 + 3 = 9\n-1.5 + 2 - 1 + 3 = 2.5\n"


def test_key_concepts_alternates_over_two_replicas_of_two_deployments() -> None:
    ended = run_python("-m", "examples.key_concepts", "0")
    assert ended.code == 0, ended.stderr
    assert ended.stdout.count("212.0") == 5
    assert ended.stdout.count("80.0") == 4
    assert len(set(re.findall(r"pid['\"]: ?(\d+)", ended.stdout))) >= 4
    assert ended.stdout.splitlines()[-1].startswith("by graph: ")


def test_drawing_prints_the_part_and_the_whole() -> None:
    ended = run_python("-m", "examples.drawing")
    assert ended.code == 0, ended.stderr
    assert ended.stdout == (
        "What the left branch depends on:\n"
        "digraph G {\n"
        "rankdir=LR;\n"
        "INPUT_ATTRIBUTE_NODE -> times;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE;\n"
        "Scale -> times;\n"
        "}\n\n"
        "The whole graph:\n"
        "digraph G {\n"
        "rankdir=LR;\n"
        "times -> add;\n"
        "INPUT_ATTRIBUTE_NODE -> times;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE;\n"
        "Scale -> times;\n"
        "times_1 -> add;\n"
        "INPUT_ATTRIBUTE_NODE_1 -> times_1;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE_1;\n"
        "Scale_1 -> times_1;\n"
        "INPUT_ATTRIBUTE_NODE_2 -> add;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE_2;\n"
        "}\n\n"
    )


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_drawing_writes_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "graph.svg"
    ended = run_python("-m", "examples.drawing", str(picture))
    assert ended.code == 0, ended.stderr
    assert "<svg" in picture.read_text()


def test_digits_demo_tells_what_it_did_and_ends() -> None:
    ended = run_python("-m", "examples.digits.demo")
    assert ended.code == 0, ended.stderr
    for told in ("rankdir=LR;", "Boundaries#", "400 held-out images", "HTTP", "handle", "p99"):
        assert told in ended.stdout


def test_python_client_without_mesh_prints_what_all_clients_print(tmp_path: Path) -> None:
    site = Path(grpc.__file__).parents[1]
    for package in ("grpc", "google", "typing_extensions.py"):
        (tmp_path / package).symlink_to(site / package)
    protos = ROOT / "protos"
    out = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    compiled = run_python("-m", "grpc_tools.protoc", "-I", str(protos), *out, str(protos / "mesh/v1/predict.proto"))
    assert compiled.code == 0, compiled.stderr
    alone = ("env", f"PYTHONPATH={tmp_path}", sys.executable, "-S")  # -S: without what is installed
    assert "No module named 'mesh.api'" in run_to_end(*alone, "-c", "import mesh.api", cwd=tmp_path).stderr
    ended = run_python("-m", "examples.clients.served", *alone, str(ROOT / "examples/clients/python/client.py"))
    assert ended.code == 0, ended.stderr
    assert ended.stdout == (ROOT / "examples/clients/printed.txt").read_text()
