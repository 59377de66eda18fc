"""Orders over graphs."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.dag import InputNode
from mesh.dag.nodes import children_of
from mesh.dag.traversal import dependencies_first, edges, replace_nodes
from mesh.deployments import deployment
from mesh.errors import ConfigError


@deployment
def step(*args: Any, **kwargs: Any) -> Any: ...


def test_dependencies_come_first_and_a_shared_node_once() -> None:
    shared = step.bind()
    left, right = step.bind(shared), step.bind(shared)
    top = step.bind(left, right)
    assert dependencies_first(top, children_of) == [shared, left, right, top]


@pytest.mark.feature("95")
def test_edges_go_depth_first_and_lead_to_visited_nodes_but_not_beyond() -> None:
    leaf = step.bind()
    shared = step.bind(leaf)
    left, right = step.bind(shared), step.bind(shared)
    top = step.bind(left, right)
    expected = [(left, top), (shared, left), (leaf, shared), (right, top), (shared, right)]
    assert list(edges(top, children_of)) == expected


def test_a_chain_of_ten_thousand_nodes() -> None:
    node: Any = InputNode()
    for _ in range(10_000):
        node = step.bind(node)
    assert len(dependencies_first(node, children_of)) == 10_001
    assert sum(1 for _ in edges(node, children_of)) == 10_000


def test_a_circle_made_by_changing_a_list_after_bind() -> None:
    arguments: list[Any] = []
    node = step.bind(arguments)
    arguments.append(step.bind(node))
    with pytest.raises(ConfigError, match="depends on itself"):
        dependencies_first(node, children_of)


def test_nodes_are_replaced_where_they_are_and_the_rest_stays_itself() -> None:
    a, b, untouched = step.bind(), step.bind(), [1, 2]
    value = [a, (b, untouched), {"k": a}]
    replaced = replace_nodes(value, {a: "A", b: "B"}.__getitem__)
    assert replaced == ["A", ("B", [1, 2]), {"k": "A"}]
    assert replaced[1][1] is untouched
    assert value[0] is a
