"""A graph as a drawing: the dot language by pydot, pictures by graphviz' program ``dot``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.dag.nodes import ClassNode, DeploymentNode, FunctionNode, InputNode, MethodNode, Node, children_of
from mesh.dag.traversal import edges
from mesh.errors import ConfigError

if TYPE_CHECKING:
    import pydot

_TEXT = ("dot", "gv")


def to_dot(node: DeploymentNode) -> pydot.Dot:
    """What ``node`` depends on as a drawing; ``to_string()`` of it is a text in the dot language.

    >>> from mesh.dag import InputNode, to_dot
    >>> from mesh.deployments import deployment
    >>> @deployment
    ... def double(x):
    ...     return 2 * x
    >>> with InputNode() as number:
    ...     print(to_dot(double.bind(double.bind(number))).to_string())
    digraph G {
    rankdir=LR;
    double_1 -> double;
    INPUT_NODE -> double_1;
    }
    <BLANKLINE>
    """
    import pydot  # not at import: serving a graph takes no drawing, and every replica imports mesh.dag

    if not isinstance(node, DeploymentNode):
        raise TypeError(f"a node is drawn, what bind gives, not {node!r}")
    drawing = pydot.Dot("G", graph_type="digraph", rankdir="LR")
    names = _Names()
    root = names.of(node)
    for child, parent in edges(node, children_of):
        drawing.add_edge(pydot.Edge(names.of(child), names.of(parent)))
    if not drawing.get_edge_list():
        drawing.add_node(pydot.Node(root))
    return drawing


def plot(node: DeploymentNode, to_file: str | PathLike[str]) -> None:
    """Draws what ``node`` depends on into a file whose name says the format: ``graph.svg``, ``graph.png`` ...

    ``.dot`` and ``.gv`` are text; every other format needs graphviz. Raises :class:`ConfigError` when it is not there
    or does not know the format.
    """
    path = Path(to_file)
    picture_format = path.suffix[1:].lower()
    if not picture_format:
        raise ConfigError(f'the ending of the file says what to draw, such as "graph.svg"; {str(path)!r} has none')
    text: str = to_dot(node).to_string()
    path.write_bytes(text.encode() if picture_format in _TEXT else _picture(text, picture_format))


def _picture(text: str, picture_format: str) -> bytes:
    import shutil
    import subprocess

    program = shutil.which("dot")
    if program is None:
        raise ConfigError(
            "drawing a picture needs the program dot of graphviz, which is not on the PATH: install graphviz (apt-get "
            "install, brew install, winget install), or write a .dot file, which needs nothing"
        )
    drawn = subprocess.run(  # noqa: S603 (graphviz' own program; the text comes in by a pipe)
        [program, f"-T{picture_format}"], input=text.encode(), capture_output=True, check=False
    )
    if drawn.returncode:
        reason = drawn.stderr.decode(errors="replace").strip()
        raise ConfigError(f"graphviz cannot draw a file of the kind .{picture_format}: {reason}")
    return drawn.stdout


class _Names:
    """A name for each node in the order in which they are first asked for: ``Model``, ``Model_1`` ..."""

    def __init__(self) -> None:
        self._names: dict[Node, str] = {}
        self._used: set[str] = set()

    def of(self, node: Node) -> str:
        if node not in self._names:
            name = next(free for free in _candidates(_bare_name(node)) if free not in self._used)
            self._used.add(name)
            self._names[node] = name if name.isidentifier() else f'"{name}"'
        return self._names[node]


def _candidates(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in count(1))


def _bare_name(node: Node) -> str:
    if isinstance(node, ClassNode | FunctionNode):
        return node._deployment.target.__name__
    if isinstance(node, MethodNode):
        return node._method
    return "INPUT_NODE" if isinstance(node, InputNode) else "INPUT_ATTRIBUTE_NODE"
