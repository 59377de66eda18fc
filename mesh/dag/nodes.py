"""The nodes of a graph: frozen values that ``bind`` makes and that nobody runs; :mod:`mesh.dag.build` reads them.

The attributes of a node begin with an underscore, so that a method of the user's class of any public name can be
reached as ``node.method``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, Protocol

from mesh.config import DeploymentConfig, Method, RoutePrefix
from mesh.errors import ConfigError
from mesh.type_variables import T_co


class Bindable(Protocol):
    """What a node is made from: a :class:`mesh.deployments.Deployment`."""

    @property
    def target(self) -> Callable[..., Any]:
        """The user's class or function."""

    @property
    def name(self) -> str:
        """The name that it wants; the graph makes it unique."""

    @property
    def version(self) -> str | None:
        """The user's version of it."""

    @property
    def methods(self) -> tuple[Method, ...]:
        """What can be called on the target."""

    @property
    def config(self) -> DeploymentConfig:
        """Its settings."""

    @property
    def own_route_prefix(self) -> str | RoutePrefix | None:
        """The route prefix that was set on it."""


class Node:
    """What all nodes have in common: they are compared by identity and never leave the process."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} is a node of a graph and cannot be pickled: it may be an argument of bind, "
            "also inside a list, a tuple or a dict, and nowhere else"
        )


class DeploymentNode(Node, Generic[T_co]):
    """What ``bind`` gives, and what ``mesh.run`` takes."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name == "bind":
            raise AttributeError(
                f"{self!r} is bound already: call bind on the deployment, or on a method of a ClassNode"
            )
        if name == "remote":
            raise AttributeError(f"{self!r} does not run yet: call remote on the handle that mesh.run gives for it")
        raise AttributeError(f"{self!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassNode(DeploymentNode[T_co]):
    """A class with the arguments of its constructor; ``node.method.bind(...)`` makes a :class:`MethodNode`."""

    _deployment: Bindable
    _args: tuple[Any, ...]
    _kwargs: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_arguments(self)
        if any(isinstance(node, _Input) for node in nodes_in((self._args, self._kwargs))):
            raise ConfigError(
                f"the input of a graph cannot be an argument of the constructor of {self._deployment.name}, "
                "which is built before any request: bind it to a method or a function"
            )

    def __getattr__(self, name: str) -> Any:
        methods = [method.name for method in self._deployment.methods]
        if name in methods:
            return UnboundMethod(self, name)
        if name in ("bind", "remote") or (name.startswith("__") and name.endswith("__")):
            return DeploymentNode.__getattr__(self, name)
        known = ", ".join(methods) or "none"
        raise AttributeError(f"{self._deployment.target.__qualname__} has no method {name!r}; its methods: {known}")

    def __repr__(self) -> str:
        return f"ClassNode({self._deployment.name})"


@dataclass(frozen=True, slots=True, eq=False)
class UnboundMethod(Node):
    """A method of a :class:`ClassNode` that has no arguments yet."""

    _node: ClassNode
    _method: str

    def bind(self, *args: Any, **kwargs: Any) -> MethodNode:
        """The method's output for these arguments; other nodes among them stand for theirs."""
        return MethodNode(self._node, self._method, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "remote":
            return DeploymentNode.__getattr__(self._node, name)
        raise AttributeError(f"the method {self._method!r} of {self._node!r} has no attribute {name!r}, only bind")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"{self._node!r} does not run yet: write .{self._method}.bind(...) to make it a part of a graph"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MethodNode(DeploymentNode[Any]):
    """The output of a method for one input of the graph."""

    _node: ClassNode
    _method: str
    _args: tuple[Any, ...]
    _kwargs: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_arguments(self)

    def __repr__(self) -> str:
        return f"MethodNode({self._node._deployment.name}.{self._method})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FunctionNode(DeploymentNode[T_co]):
    """The output of a function for one input of the graph."""

    _deployment: Bindable
    _args: tuple[Any, ...]
    _kwargs: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_arguments(self)

    def __repr__(self) -> str:
        return f"FunctionNode({self._deployment.name})"


class _Input(Node):
    """What the input of a graph and its parts have in common: they have no value while the graph is being made."""

    __slots__ = ()

    def __getitem__(self, key: int | str) -> InputAttributeNode:
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise ConfigError(f"a part of the graph's input is named by an int or a str, not {key!r}")
        return InputAttributeNode(self, key, True)

    def __getattr__(self, name: str) -> InputAttributeNode:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"{self!r} has no attribute {name!r}")
        if name in ("bind", "remote"):
            raise AttributeError(f"{self!r} is the input of a graph and has no {name!r}: pass it to the bind of a node")
        return InputAttributeNode(self, name, False)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("be called")

    def __iter__(self) -> NoReturn:
        self._refuse("be iterated over")

    def __bool__(self) -> NoReturn:
        self._refuse("decide an if")

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"{self!r} has a value only when a request comes, so it cannot {what} here: "
            "bind it to a function or a method that does"
        )


class InputNode(_Input):
    """The input of a graph: what a request brings.

    >>> from mesh.dag import InputNode
    >>> with InputNode() as request:
    ...     print(request, request["user"].name)
    InputNode() InputNode()['user'].name

    Where the graph is called with one value, that is what it stands for, and ``x[0]``, ``x["key"]`` and ``x.attribute``
    are parts of it. Where it is called with several arguments, ``x[0]`` is the first of them, and ``x["key"]`` and
    ``x.key`` are the one given by that keyword.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            raise ConfigError("InputNode takes no arguments: what it stands for comes with each request")

    def __enter__(self) -> InputNode:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def __repr__(self) -> str:
        return "InputNode()"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InputAttributeNode(_Input):
    """A part of the input: ``x[0]``, ``x["key"]`` or ``x.attribute``, also of another part."""

    _source: _Input
    _key: int | str
    _is_item: bool

    def __repr__(self) -> str:
        return f"{self._source!r}[{self._key!r}]" if self._is_item else f"{self._source!r}.{self._key}"


def nodes_in(value: object) -> Iterator[Node]:
    """The nodes in a value, also those nested in lists, tuples and dicts, in their order."""
    if isinstance(value, Node):
        yield value
    elif type(value) in _CONTAINERS:
        yield from _nodes_inside(value, set())


def children_of(node: Node) -> Iterator[Node]:
    """What a node depends on: positional arguments, keyword arguments, then its class node or what it is a part of."""
    if isinstance(node, ClassNode | FunctionNode | MethodNode):
        yield from nodes_in((node._args, node._kwargs))
    if isinstance(node, MethodNode):
        yield node._node
    if isinstance(node, InputAttributeNode):
        yield node._source


def _check_arguments(node: ClassNode | FunctionNode | MethodNode) -> None:
    for argument in nodes_in((node._args, node._kwargs)):
        if isinstance(argument, UnboundMethod):
            raise ConfigError(
                f"an argument of {node!r} is a method that nobody bound: "
                f"write {argument._node._deployment.name}.{argument._method}.bind(...) to pass on what it gives"
            )


_CONTAINERS = (list, tuple, dict)


def _nodes_inside(container: Any, around: set[int]) -> Iterator[Node]:
    """``around`` has the containers that this one is in: a list may hold itself."""
    around.add(id(container))
    for element in container.values() if isinstance(container, dict) else container:
        if isinstance(element, Node):
            yield element
        elif type(element) in _CONTAINERS and id(element) not in around:
            yield from _nodes_inside(element, around)
    around.discard(id(container))
