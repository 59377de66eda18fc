"""What ``bind`` takes, what nodes answer to, and what they refuse."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import cloudpickle
import pytest

from mesh.dag import ClassNode, DeploymentNode, FunctionNode, InputNode, MethodNode
from mesh.dag.nodes import children_of, nodes_in
from mesh.deployments import deployment
from mesh.errors import ConfigError


@deployment
class Model:
    def __init__(self, *parts: Any, **named: Any) -> None: ...
    def predict(self, x: Any) -> Any: ...
    def __call__(self, x: Any) -> Any: ...


@deployment
class Awkward:
    def bind(self) -> None: ...
    def remote(self) -> None: ...
    def name(self) -> None: ...
    def args(self) -> None: ...


@deployment
def combine(*args: Any, **kwargs: Any) -> Any: ...


MODEL: Any = Model
AWKWARD: Any = Awkward
MODEL_NODE: ClassNode = MODEL.bind()
X = InputNode()


def test_the_kinds_of_nodes() -> None:
    nodes = [MODEL_NODE, MODEL_NODE.predict.bind(X), combine.bind(X)]
    assert [type(node) for node in nodes] == [ClassNode, MethodNode, FunctionNode]
    assert all(isinstance(node, DeploymentNode) for node in nodes)
    assert not isinstance(X, DeploymentNode)


@pytest.mark.feature("66")
@pytest.mark.feature("68")
def test_every_bind_makes_a_node_of_its_own() -> None:
    assert combine.bind(1) != combine.bind(1)


def test_call_can_be_bound_as_any_method() -> None:
    assert repr(MODEL_NODE.__call__.bind(X)) == "MethodNode(Model.__call__)"


@pytest.mark.feature("67")
@pytest.mark.parametrize("method", ["bind", "remote", "name", "args"])
def test_a_method_of_any_public_name_can_be_bound(method: str) -> None:
    assert repr(getattr(AWKWARD.bind(), method).bind()) == f"MethodNode(Awkward.{method})"


@pytest.mark.feature("67")
def test_an_unknown_method_names_those_that_exist() -> None:
    with pytest.raises(AttributeError, match=r"Model has no method 'predit'; its methods: predict, __call__"):
        _ = MODEL_NODE.predit


@pytest.mark.feature("77")
@pytest.mark.parametrize("node", [MODEL_NODE, MODEL_NODE.predict.bind(X), combine.bind(X)], ids=repr)
@pytest.mark.parametrize(
    ("attribute", "hint"), [("bind", "bound already"), ("remote", "the handle that mesh.run gives")]
)
def test_a_node_says_why_it_cannot_be_bound_or_called_again(node: Any, attribute: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=hint):
        getattr(node, attribute)


def test_a_method_without_arguments_is_neither_called_nor_an_argument() -> None:
    with pytest.raises(TypeError, match=r"write \.predict\.bind\(\.\.\.\)"):
        MODEL_NODE.predict(1)
    with pytest.raises(AttributeError, match=r"the handle that mesh\.run gives"):
        _ = MODEL_NODE.predict.remote
    with pytest.raises(ConfigError, match=r"write Model\.predict\.bind\(\.\.\.\)"):
        combine.bind([MODEL_NODE.predict])
    with pytest.raises(ConfigError, match=r"write Model\.predict\.bind\(\.\.\.\)"):
        MODEL.bind(MODEL_NODE.predict)


def test_an_attribute_that_nothing_has() -> None:
    with pytest.raises(AttributeError, match=r"FunctionNode\(combine\) has no attribute 'foo'"):
        _ = combine.bind().foo
    assert not hasattr(MODEL_NODE, "__array__")


@pytest.mark.feature("70")
def test_the_input_takes_no_arguments() -> None:
    with pytest.raises(ValueError, match="InputNode takes no arguments"):
        InputNode("x")


@pytest.mark.feature("70")
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        pytest.param((X,), {}, id="the input itself"),
        pytest.param((X[0],), {}, id="a part of it"),
        pytest.param(([{"a": (X,)}],), {}, id="nested"),
        pytest.param((), {"weight": X.weight}, id="by keyword"),
    ],
)
def test_the_input_is_no_argument_of_a_constructor(args: Any, kwargs: Any) -> None:
    with pytest.raises(ValueError, match="cannot be an argument of the constructor of Model"):
        MODEL.bind(*args, **kwargs)


@pytest.mark.feature("71")
def test_parts_of_the_input_chain() -> None:
    with InputNode() as x:
        assert repr(x[0]["a"].b) == "InputNode()[0]['a'].b"


@pytest.mark.parametrize("key", [1.5, None, True, slice(1)], ids=repr)
def test_a_part_of_the_input_is_named_by_int_or_str(key: Any) -> None:
    with pytest.raises(ConfigError, match="named by an int or a str"):
        X[key]


@pytest.mark.feature("70")
@pytest.mark.parametrize(
    ("use", "what"),
    [
        pytest.param(lambda: X.json(), "be called", id="a method of the request is called"),
        pytest.param(lambda: list(X), "be iterated over", id="the input is iterated over"),
        pytest.param(lambda: 1 if X["flag"] else 0, "decide an if", id="the input decides an if"),
    ],
)
def test_the_input_has_no_value_while_the_graph_is_made(use: Any, what: str) -> None:
    with pytest.raises(TypeError, match=f"has a value only when a request comes, so it cannot {what}"):
        use()


@pytest.mark.parametrize("attribute", ["bind", "remote"])
def test_the_input_is_not_bound(attribute: str) -> None:
    with pytest.raises(AttributeError, match="is the input of a graph"):
        getattr(X, attribute)


@pytest.mark.parametrize("node", [MODEL_NODE, combine.bind(X), X, X[0], MODEL_NODE.predict], ids=repr)
@pytest.mark.parametrize("travel", [pickle.dumps, cloudpickle.dumps, copy.deepcopy], ids=lambda f: f.__module__)
def test_a_node_does_not_leave_the_process(node: Any, travel: Any) -> None:
    with pytest.raises((TypeError, pickle.PicklingError), match="is a node of a graph and cannot be pickled"):
        travel(node)


def test_nodes_are_found_in_lists_tuples_and_dicts_in_their_order() -> None:
    a, b, c, d = (combine.bind() for _ in range(4))
    assert list(nodes_in([a, ({"k": [b]}, c), "text", {d}, 5, d])) == [a, b, c, d]


def test_a_list_that_is_there_twice_is_searched_twice() -> None:
    shared = [X]
    assert list(nodes_in([shared, (shared,)])) == [X, X]


def test_a_list_that_holds_itself_is_searched_once() -> None:
    loop: list[Any] = [X]
    loop.append(loop)
    assert list(nodes_in(loop)) == [X]


def test_children_are_arguments_then_keywords_then_the_parent() -> None:
    part = X[0]
    a, b = combine.bind(), combine.bind()
    output = MODEL_NODE.predict.bind(a, part, more=[b])
    assert list(children_of(output)) == [a, part, b, MODEL_NODE]
    assert list(children_of(part)) == [X]
    assert list(children_of(X)) == []
