"""The decorator and the deployments that it makes."""

from __future__ import annotations

import pickle
import types
from typing import Any

import cloudpickle
import pytest

from mesh.config import DeploymentConfig, Method, MethodKind
from mesh.dag import ClassNode, FunctionNode
from mesh.deployments import Deployment, deployment
from mesh.errors import ConfigError


class Greeter:
    def __init__(self, greeting: str = "Hello") -> None:
        self.greeting = greeting

    def __call__(self, name: str) -> str:
        return f"{self.greeting} {name}"


def shout(text: str) -> str:
    return text.upper()


async def whisper(text: str) -> str:
    return text.lower()


@pytest.mark.feature("8")
@pytest.mark.feature("9")
@pytest.mark.feature("10")
@pytest.mark.parametrize("target", [Greeter, shout, whisper], ids=lambda target: target.__name__)
def test_the_bare_decorator_takes_the_name_of_its_target(target: Any) -> None:
    made = deployment(target)
    assert (made.name, made.target, made.version, made.config) == (target.__name__, target, None, DeploymentConfig())


@pytest.mark.feature("8")
@pytest.mark.feature("9")
@pytest.mark.feature("10")
@pytest.mark.parametrize("target", [Greeter, shout, whisper], ids=lambda target: target.__name__)
def test_the_decorator_with_options(target: Any) -> None:
    made = deployment(name="other", version="2", num_replicas=3)(target)
    assert (made.name, made.target, made.version, made.num_replicas) == ("other", target, "2", 3)


def test_one_decorator_serves_several_targets() -> None:
    decorate = deployment(name="same", num_replicas=2)
    assert [decorate(Greeter).name, decorate(shout).name] == ["same", "same"]


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="'<lambda>' cannot be the name"):
        deployment(lambda text: text)
    assert deployment(name="same")(lambda text: text).name == "same"


@pytest.mark.parametrize("target", ["name", 3, Greeter()], ids=["a string", "a number", "an instance"])
def test_what_is_neither_class_nor_function(target: Any) -> None:
    with pytest.raises(TypeError, match="goes on a class or a function"):
        deployment(target)


def test_a_deployment_is_not_decorated_again() -> None:
    with pytest.raises(ConfigError, match=r"use its options\(...\)"):
        deployment(deployment(shout))


def test_a_wrong_option_is_refused_before_the_target_is_seen() -> None:
    with pytest.raises(ConfigError, match="num_replicas must be"):
        deployment(num_replicas=0)


@pytest.mark.feature("24")
@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"name": "rep-1"}, "Deployment(name=rep-1,version=None,route_prefix=/rep-1)"),
        ({"route_prefix": "/api", "version": "v2"}, "Deployment(name=Greeter,version=v2,route_prefix=/api)"),
        ({"route_prefix": None}, "Deployment(name=Greeter,version=None,route_prefix=None)"),
    ],
)
def test_how_it_is_shown(options: Any, shown: str) -> None:
    assert repr(deployment(Greeter).options(**options)) == shown


@pytest.mark.feature("12")
def test_options_make_a_new_deployment_and_keep_what_they_do_not_name() -> None:
    first = deployment(num_replicas=2, max_ongoing_requests=5)(Greeter)
    second = first.options(name="second", num_replicas=3)
    assert (first.name, first.num_replicas) == ("Greeter", 2)
    assert (second.name, second.num_replicas, second.config.max_ongoing_requests) == ("second", 3, 5)


def test_deployments_of_the_same_target_and_settings_are_equal() -> None:
    first, second = deployment(Greeter), deployment(Greeter)
    assert (first == second, hash(first) == hash(second)) == (True, True)
    assert first != first.options(num_replicas=2)


@pytest.mark.parametrize("version", ["", 3])
def test_a_version_is_a_string(version: Any) -> None:
    with pytest.raises(ConfigError, match="version must be"):
        deployment(version=version)(Greeter)


@pytest.mark.feature("18")
def test_calling_a_deployment_says_what_to_do_instead() -> None:
    with pytest.raises(RuntimeError, match=r"mesh\.run\(Greeter\.bind"):
        deployment(Greeter)("World")


def test_deriving_from_a_deployment_says_what_to_do_instead() -> None:
    parent: Any = deployment(Greeter)
    with pytest.raises(TypeError, match=r"derive from Greeter\.target"):
        types.new_class("Child", (parent,))


def test_binding_a_class_and_a_function() -> None:
    assert isinstance(deployment(Greeter).bind("Hi"), ClassNode)
    assert isinstance(deployment(shout).bind("hi"), FunctionNode)
    assert isinstance(deployment(whisper).bind("hi"), FunctionNode)


@pytest.mark.feature("15")
@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        pytest.param(((), {}), (("Hola",), {"x": 1}), id="bind without arguments takes the options"),
        pytest.param((("Hi",), {}), (("Hi",), {}), id="positional arguments of bind replace both"),
        pytest.param(((), {"greeting": "Hi"}), ((), {"greeting": "Hi"}), id="keywords of bind replace both"),
    ],
)
def test_constructor_arguments_as_options(bound: Any, expected: Any) -> None:
    node = deployment(init_args=["Hola"], init_kwargs={"x": 1})(Greeter).bind(*bound[0], **bound[1])
    assert (node._args, node._kwargs) == expected


def test_a_function_has_no_constructor_arguments() -> None:
    with pytest.raises(ConfigError, match="shout is a function"):
        deployment(init_args=("a",))(shout)


def test_a_deployment_travels_by_pickle() -> None:
    made: Deployment[Any] = deployment(num_replicas=2)(Greeter)
    assert pickle.loads(cloudpickle.dumps(made)) == made


def test_a_stored_deployment_with_a_user_config_is_not_loaded_to_see_what_takes_it() -> None:
    unloadable: Any = object()
    config = DeploymentConfig(user_config_json="1")
    found = Deployment(
        code=None, name="A", config=config, methods=(Method("reconfigure", MethodKind.DEF),), stored=unloadable
    )
    assert found.user_config == 1
    with pytest.raises(ConfigError, match="no method that takes it"):
        Deployment(code=None, name="A", config=config, stored=unloadable)
