"""From what was typed to a node, or to a message that says what would be right."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.cli.import_path import load_node, split_import_path
from mesh.dag import ClassNode
from mesh.errors import ConfigError, MeshError, UserCodeError

APPLICATION = """
import mesh
from mesh.dag import InputNode

@mesh.deployment
class Cup:
    def fill(self, what):
        return what

node = Cup.bind()

class Box:
    inner = Cup.bind()

with InputNode() as given:
    output = node.fill.bind(given)

plain = 5

def undecorated(request):
    return node

class Undecorated:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with ``cups.py``; what is imported from it is forgotten afterwards."""
    (tmp_path / "cups.py").write_text(APPLICATION)
    modules, path = set(sys.modules), list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        pytest.param("shop:graph", ("shop", "graph"), id="colon"),
        pytest.param("shop.prices:graph", ("shop.prices", "graph"), id="colon after a dotted module"),
        pytest.param("shop.prices.graph", ("shop.prices", "graph"), id="dots only"),
        pytest.param("shop:Box.inner", ("shop", "Box.inner"), id="attribute of an attribute"),
    ],
)
def test_import_path_is_split(typed: str, parts: tuple[str, str]) -> None:
    assert split_import_path(typed) == parts


@pytest.mark.parametrize(
    ("typed", "error", "says"),
    [
        pytest.param("shop", ConfigError, "module:node", id="no attribute"),
        pytest.param("shop:", ConfigError, "module:node", id="empty attribute"),
        pytest.param(":graph", ConfigError, "module:node", id="empty module"),
        pytest.param("shop:a b", ConfigError, "module:node", id="no identifier"),
        pytest.param("shop.py:graph", ConfigError, "shop:graph", id="file instead of module"),
        pytest.param("shop.py", ConfigError, "shop:node", id="file alone"),
        pytest.param("./shop/prices.py:graph", ConfigError, "shop.prices:graph", id="path of a file"),
        pytest.param("mesh.yaml", ConfigError, "'mesh.yaml' is a config file", id="config file"),
    ],
)
def test_wrong_import_path_says_what_would_be_right(typed: str, error: type[MeshError], says: str) -> None:
    with pytest.raises(error, match=says):
        split_import_path(typed)


@pytest.mark.parametrize("typed", ["cups:node", "cups.node", "cups:Box.inner"])
def test_node_is_loaded(folder: Path, typed: str) -> None:
    assert isinstance(load_node(typed, folder), ClassNode)


def test_folder_of_the_application_comes_last(folder: Path) -> None:
    load_node("cups:node", folder)
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        pytest.param("cops:node", "no module 'cops'.*did you mean cups", id="module with a near name"),
        pytest.param("nowhere:node", "no module 'nowhere'.*--app-dir", id="module that does not exist"),
        pytest.param("cups:nodes", "no attribute 'nodes'; its nodes are node, output", id="no such attribute"),
        pytest.param("cups:Cup", r"it is the deployment 'Cup'; bind it first: node = Cup.bind\(...\)", id="unbound"),
        pytest.param("cups:given", "it is the input of a graph", id="input node"),
        pytest.param("cups:node.fill", "it is a method of a node without its arguments", id="unbound method"),
        pytest.param("cups:plain", "it is a value of type int", id="number"),
        pytest.param("cups:Undecorated", "a class without @mesh.deployment", id="class without the decorator"),
        pytest.param("cups:undecorated", "a callable without @mesh.deployment", id="function without the decorator"),
    ],
)
def test_what_is_no_node_is_named(folder: Path, typed: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_node(typed, folder)


def test_error_at_import_shows_the_users_traceback_alone(folder: Path) -> None:
    (folder / "broken.py").write_text("def fail():\n    raise KeyError('sugar')\n\nfail()\n")
    with pytest.raises(UserCodeError) as raised:
        load_node("broken:node", folder)
    told = str(raised.value)
    assert "importing 'broken' failed" in told
    assert "KeyError: 'sugar'" in told
    assert told.count('File "') == 2
    assert "importlib" not in told
    assert "mesh/cli" not in told


def test_error_raised_by_mesh_ends_at_the_users_line(folder: Path) -> None:
    (folder / "typo.py").write_text(APPLICATION + "\nbad = node.fil.bind(1)\n")
    with pytest.raises(UserCodeError) as raised:
        load_node("typo:node", folder)
    told = str(raised.value)
    assert "bad = node.fil.bind(1)" in told
    assert "no method 'fil'" in told
    assert "dag/nodes.py" not in told


@pytest.mark.parametrize(
    ("code", "says"),
    [
        pytest.param("import sugarloaf", "No module named 'sugarloaf'", id="imports what does not exist"),
        pytest.param("if True print(1)", "SyntaxError", id="syntax error"),
        pytest.param("raise SystemExit(3)", "SystemExit: 3", id="exits"),
    ],
)
def test_module_that_cannot_be_imported(folder: Path, code: str, says: str) -> None:
    (folder / "broken.py").write_text(code)
    with pytest.raises(UserCodeError, match=says):
        load_node("broken:node", folder)


@pytest.mark.parametrize("name", ["mesh", "types", "sidecar"])
def test_file_named_like_a_module_that_is_there(folder: Path, name: str) -> None:
    (folder / f"{name}.py").write_text(APPLICATION)
    assert isinstance(load_node("cups:node", folder), ClassNode)
    with pytest.raises(ConfigError, match=f"{name}.py cannot be imported as '{name}'.*give your file another name"):
        load_node(f"{name}:node", folder)
