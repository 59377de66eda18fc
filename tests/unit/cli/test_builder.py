"""Functions that build a node: which they are, and what they are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from mesh import deployment
from mesh.cli.builder import call_builder, is_builder, read_arguments
from mesh.dag import ClassNode
from mesh.errors import ConfigError, UserCodeError


class Arguments(BaseModel):
    greeting: str
    count: int = 1


@deployment
class Cup:
    def __init__(self, *fills: Any) -> None:
        self.fills = fills


def without() -> ClassNode:
    return Cup.bind()


def of_model(arguments: Arguments) -> ClassNode:
    return Cup.bind(arguments.greeting, arguments.count)


def of_dict(arguments: dict[str, str]) -> ClassNode:
    return Cup.bind(arguments)


def of_mapping(arguments: Mapping[str, Any]) -> ClassNode:
    return Cup.bind(arguments)


def of_request(request: Any) -> ClassNode:
    return Cup.bind(request)


def of_two(one: dict[str, str], two: dict[str, str]) -> ClassNode:
    return Cup.bind(one, two)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        pytest.param(without, True, id="without a parameter"),
        pytest.param(of_model, True, id="a pydantic model"),
        pytest.param(of_dict, True, id="a dict"),
        pytest.param(of_mapping, True, id="a mapping"),
        pytest.param(of_request, False, id="something else, such as a request"),
        pytest.param(of_two, False, id="two parameters"),
        pytest.param(Arguments, False, id="a class"),
        pytest.param(Cup, False, id="a deployment"),
        pytest.param(5, False, id="a number"),
    ],
)
def test_what_is_a_builder(value: object, is_one: bool) -> None:
    assert is_builder(value) is is_one


@pytest.mark.feature("63")
@pytest.mark.parametrize(
    ("builder", "args", "bound"),
    [
        pytest.param(without, {}, (), id="nothing"),
        pytest.param(of_model, {"greeting": "Hi", "count": "2"}, ("Hi", 2), id="a model converts what was typed"),
        pytest.param(of_model, {"greeting": "Hi"}, ("Hi", 1), id="a model has defaults"),
        pytest.param(of_dict, {"a": "1"}, ({"a": "1"},), id="a dict gets strings"),
        pytest.param(of_mapping, {}, ({},), id="no arguments are an empty dict"),
    ],
)
def test_a_builder_gets_its_arguments(builder: Any, args: dict[str, str], bound: tuple[Any, ...]) -> None:
    node = call_builder(builder, "cups:build", args)
    assert isinstance(node, ClassNode)
    assert node._args == bound


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="cups:build are not right: greeting is missing; count: Input should be"):
        call_builder(of_model, "cups:build", {"count": "two"})
    with pytest.raises(ConfigError, match="cups:build takes no arguments, and got a, b"):
        call_builder(without, "cups:build", {"a": 1, "b": 2})


def test_a_builder_that_raises_shows_the_users_traceback() -> None:
    def build() -> ClassNode:
        raise KeyError("sugar")

    with pytest.raises(
        UserCodeError, match=r"cups:build raised:(.|\n)*raise KeyError\(\"sugar\"\)(.|\n)*KeyError"
    ) as e:
        call_builder(build, "cups:build", {})
    assert "mesh/cli" not in str(e.value)


def test_a_builder_that_returns_no_node_is_refused() -> None:
    def build() -> Any:
        return Cup

    with pytest.raises(ConfigError, match=r"cups:build returned Deployment\(name=Cup.*and not a node"):
        call_builder(build, "cups:build", {})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(["greeting"], "'greeting' is no argument of the form key=value", id="no value"),
        pytest.param(["=Hi"], "'=Hi' is no argument of the form key=value", id="no key"),
        pytest.param(["a=1", "a=2"], "the argument 'a' is given twice", id="twice"),
    ],
)
def test_words_that_are_no_arguments(words: list[str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_arguments(words)
