"""Functions that build a node from arguments: what ``meshctl run module:function key=value`` calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, get_origin

from mesh.cli.user_traceback import user_traceback
from mesh.dag import DeploymentNode
from mesh.errors import ConfigError, UserCodeError


def is_builder(value: object) -> TypeGuard[Callable[..., Any]]:
    """Whether it is a function that takes nothing, or one parameter annotated as a dict or a pydantic model.

    What looks otherwise is more likely a class or function that somebody forgot to decorate.
    """
    if not inspect.isfunction(value):
        return False
    parameters = _parameters(value)
    return not parameters or (len(parameters) == 1 and _takes(parameters[0].annotation) is not None)


def call_builder(builder: Callable[..., Any], import_path: str, args: Mapping[str, Any]) -> DeploymentNode:
    """The node that it builds from ``args``, which a pydantic model checks and converts.

    Raises :class:`ConfigError` for arguments that it does not take, :class:`UserCodeError` for what it raises.
    """
    parameters = _parameters(builder)
    if args and not parameters:
        raise ConfigError(f"{import_path} takes no arguments, and got {', '.join(args)}")
    model = _takes(parameters[0].annotation) if parameters else None
    given = [_argument(model, import_path, args)] if parameters else []
    try:
        node = builder(*given)
    except Exception as error:
        text = user_traceback(error)
        raise UserCodeError(f"{import_path} raised:\n\n{text}", remote_traceback=text) from None
    if not isinstance(node, DeploymentNode):
        raise ConfigError(f"{import_path} returned {node!r} and not a node, what .bind(...) of a deployment returns")
    return node


def read_arguments(words: list[str]) -> dict[str, str]:
    """The arguments of a builder as they are typed: "key=value".

    >>> read_arguments(["greeting=Hi", "sign=a=b"])
    {'greeting': 'Hi', 'sign': 'a=b'}
    """
    arguments: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError(f"{word!r} is no argument of the form key=value")
        if key in arguments:
            raise ConfigError(f"the argument {key!r} is given twice")
        arguments[key] = value
    return arguments


def _argument(model: Any, import_path: str, args: Mapping[str, Any]) -> Any:
    if model is dict:
        return dict(args)
    from pydantic import ValidationError  # the user's module has imported it already

    try:
        return model.model_validate(dict(args))
    except ValidationError as error:
        mistakes = [
            f"{'.'.join(str(part) for part in one['loc']) or 'arguments'}: {one['msg']}, not {one['input']!r}"
            if one["type"] != "missing"
            else f"{'.'.join(str(part) for part in one['loc'])} is missing"
            for one in error.errors()
        ]
        raise ConfigError(f"the arguments of {import_path} are not right: {'; '.join(mistakes)}") from None


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except NameError:  # an annotation that only a type checker can see
        return list(inspect.signature(function).parameters.values())


def _takes(annotation: Any) -> Any:
    """The pydantic model or ``dict`` that an annotation asks for; None for anything else."""
    origin = get_origin(annotation) or annotation
    if origin is dict or origin is Mapping:
        return dict
    return origin if isinstance(origin, type) and hasattr(origin, "model_validate") else None
