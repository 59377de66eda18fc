"""Drawings: the text to the letter, and pictures where graphviz is."""

from __future__ import annotations

import doctest
import importlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from mesh.dag import InputNode, plot, to_dot
from mesh.deployments import deployment
from mesh.errors import ConfigError


@deployment
class Model:
    def __init__(self, *parts: Any) -> None: ...
    def forward(self, x: Any) -> Any: ...


@deployment
def combine(*outputs: Any, **more: Any) -> Any: ...


@deployment
def combine_1(*outputs: Any) -> Any: ...


@deployment
def node(*outputs: Any) -> Any: ...


MODEL: Any = Model


def lines(output: Any) -> list[str]:
    text: str = to_dot(output).to_string()
    assert text.startswith("digraph G {\nrankdir=LR;\n")
    assert text.endswith("\n}\n")
    return text.splitlines()[2:-1]


def ensemble() -> tuple[Any, Any]:
    """Two models, each on its part of the input, and what combines them: the first model's output, and the whole."""
    first, second = MODEL.bind(1), MODEL.bind(2)
    with InputNode() as x:
        output = first.forward.bind(x[0])
        return output, combine.bind(output, second.forward.bind(x[1]), threshold=x[2])


@pytest.mark.feature("97")
@pytest.mark.feature("94")
def test_a_part_of_a_graph_shows_only_what_it_depends_on() -> None:
    assert to_dot(ensemble()[0]).to_string() == (
        "digraph G {\n"
        "rankdir=LR;\n"
        "INPUT_ATTRIBUTE_NODE -> forward;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE;\n"
        "Model -> forward;\n"
        "}\n"
    )


@pytest.mark.feature("6")
@pytest.mark.feature("94")
@pytest.mark.feature("95")
@pytest.mark.feature("96")
def test_a_whole_graph() -> None:
    assert to_dot(ensemble()[1]).to_string() == (
        "digraph G {\n"
        "rankdir=LR;\n"
        "forward -> combine;\n"
        "INPUT_ATTRIBUTE_NODE -> forward;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE;\n"
        "Model -> forward;\n"
        "forward_1 -> combine;\n"
        "INPUT_ATTRIBUTE_NODE_1 -> forward_1;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE_1;\n"
        "Model_1 -> forward_1;\n"
        "INPUT_ATTRIBUTE_NODE_2 -> combine;\n"
        "INPUT_NODE -> INPUT_ATTRIBUTE_NODE_2;\n"
        "}\n"
    )


@pytest.mark.feature("94")
@pytest.mark.feature("95")
@pytest.mark.feature("96")
@pytest.mark.feature("98")
@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(lambda: MODEL.bind(), ["Model;"], id="a lone node is a line"),
        pytest.param(lambda: combine.options(name="other").bind(), ["combine;"], id="drawn by the function's name"),
        pytest.param(lambda: MODEL.bind(MODEL.bind()), ["Model_1 -> Model;"], id="numbers in the order of the visit"),
        pytest.param(
            lambda: (lambda x: combine.bind([x, {"k": (x,)}], more=x))(InputNode()),
            ["INPUT_NODE -> combine;"] * 3,
            id="an edge for every use, nested too",
        ),
        pytest.param(
            lambda: combine.bind(combine.bind(), combine_1.bind()),
            ["combine_1 -> combine;", "combine_1_1 -> combine;"],
            id="a number does not make two nodes one",
        ),
        pytest.param(
            lambda: MODEL.bind(combine.bind(InputNode())),
            ["combine -> Model;", "INPUT_NODE -> combine;"],
            id="a driver is drawn when it is given",
        ),
        pytest.param(lambda: combine.bind(node.bind()), ['"node" -> combine;'], id="a word of the dot language"),
        pytest.param(
            lambda: combine.bind(deployment(name="x")(lambda: 1).bind()), ['"<lambda>" -> combine;'], id="a lambda"
        ),
    ],
)
def test_drawings(output: Any, expected: list[str]) -> None:
    assert lines(output()) == expected


@pytest.mark.parametrize("value", [Model, InputNode(), None], ids=repr)
def test_what_is_no_node_is_not_drawn(value: Any) -> None:
    with pytest.raises(TypeError, match="a node is drawn"):
        to_dot(value)


@pytest.mark.feature("6")
@pytest.mark.feature("99")
def test_text_needs_no_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plot(MODEL.bind(), to_file=tmp_path / "graph.dot")
    assert (tmp_path / "graph.dot").read_text() == "digraph G {\nrankdir=LR;\nModel;\n}\n"


@pytest.mark.feature("99")
def test_a_picture_without_graphviz_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="install graphviz"):
        plot(MODEL.bind(), to_file=tmp_path / "graph.svg")
    assert list(tmp_path.iterdir()) == []


needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")


@pytest.mark.feature("6")
@needs_graphviz
@pytest.mark.parametrize(("ending", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("PDF", b"%PDF")])
def test_a_picture(tmp_path: Path, ending: str, begin: bytes) -> None:
    path = tmp_path / f"graph.{ending}"
    plot(ensemble()[1], to_file=str(path))
    assert path.read_bytes().startswith(begin)


@needs_graphviz
def test_a_format_that_graphviz_does_not_know(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'kind \.foo: Format: "foo" not recognized'):
        plot(MODEL.bind(), to_file=tmp_path / "graph.foo")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_an_ending(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the ending of the file says what to draw"):
        plot(MODEL.bind(), to_file=tmp_path / "graph")


@pytest.mark.parametrize("module", ["mesh.dag.dot", "mesh.dag.nodes", "mesh.deployments"])
def test_the_examples_in_the_documentation(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert (result.attempted > 0, result.failed) == (True, 0)
