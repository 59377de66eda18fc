"""Ways through a graph of nodes, without recursion over its depth: a chain of ten thousand nodes is a graph too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mesh.dag.nodes import Node, nodes_in
from mesh.errors import ConfigError


def dependencies_first(root: Node, children_of: Callable[[Node], Iterator[Node]]) -> list[Node]:
    """All nodes below and with ``root``, once each, every node after those it depends on."""
    finished: dict[Node, None] = {}
    begun = {root}
    path = [(root, children_of(root))]
    while path:
        node, children = path[-1]
        child = next((child for child in children if child not in finished), None)
        if child is None:
            finished[node] = None
            path.pop()
        elif child in begun:
            raise ConfigError(f"{child!r} depends on itself: a list or dict was changed after it was given to bind")
        else:
            begun.add(child)
            path.append((child, children_of(child)))
    return list(finished)


def edges(root: Node, children_of: Callable[[Node], Iterator[Node]]) -> Iterator[tuple[Node, Node]]:
    """Pairs (child, node), depth first from the root; an edge to a node that was visited already is there too."""
    visited = {root}
    path = [(root, children_of(root))]
    while path:
        node, children = path[-1]
        child = next(children, None)
        if child is None:
            path.pop()
            continue
        yield child, node
        if child not in visited:
            visited.add(child)
            path.append((child, children_of(child)))


def replace_nodes(value: Any, replacement: Callable[[Node], object]) -> Any:
    """The value with every node in it replaced, also in lists, tuples and dicts; what holds no node stays itself."""
    if isinstance(value, Node):
        return replacement(value)
    if next(nodes_in(value), None) is None:
        return value
    if isinstance(value, dict):
        return {key: replace_nodes(element, replacement) for key, element in value.items()}
    return type(value)(replace_nodes(element, replacement) for element in value)
