"""``@deployment``: a class or a function with settings, from which graphs are bound."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar, Unpack, overload

from mesh.config import DeploymentConfig, Method, RoutePrefix, check_name, check_route_prefix
from mesh.dag.nodes import ClassNode, FunctionNode
from mesh.errors import ConfigError, NotSupportedYet
from mesh.options import DeploymentOptions, changed_fields
from mesh.target import methods_of
from mesh.type_variables import D
from mesh.user_config import decode_user_config

C = TypeVar("C")


@dataclass(frozen=True, slots=True, repr=False)
class Deployment(Generic[D]):
    """A class or a function, its name and its settings. Made by :func:`deployment`, never changed.

    ``init_args`` and ``init_kwargs`` are what the constructor gets when ``bind`` is given nothing. ``own_route_prefix``
    is the route prefix that was set, if one was.
    """

    target: D
    name: str
    version: str | None = None
    config: DeploymentConfig = field(default_factory=DeploymentConfig)
    init_args: tuple[Any, ...] = field(default=(), hash=False)
    init_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    own_route_prefix: str | RoutePrefix | None = RoutePrefix.UNSET
    methods: tuple[Method, ...] = ()

    def __post_init__(self) -> None:
        check_name("deployment", self.name)
        if self.version is not None and (not isinstance(self.version, str) or not self.version):
            raise ConfigError(f"version must be None or a string that is not empty, not {self.version!r}")
        if not isinstance(self.own_route_prefix, RoutePrefix):
            check_route_prefix(self.own_route_prefix)
        if (self.init_args or self.init_kwargs) and not isinstance(self.target, type):
            raise ConfigError(f"{self.name} is a function: no constructor takes its init_args and init_kwargs")
        if self.config.user_config_json and not callable(getattr(self.target, "reconfigure", None)):
            raise ConfigError(
                f"{self.name} has a user_config and no method that takes it: give it a reconfigure(self, user_config)"
            )

    @property
    def route_prefix(self) -> str | None:
        """Its path prefix when it is deployed by itself: the one that was set, otherwise its name."""
        return f"/{self.name}" if isinstance(self.own_route_prefix, RoutePrefix) else self.own_route_prefix

    @property
    def num_replicas(self) -> int:
        """How many processes serve it."""
        return self.config.num_replicas

    @property
    def user_config(self) -> Any:
        """What ``reconfigure`` is called with; None when there is none."""
        return decode_user_config(self.config.user_config_json)

    def options(self, **options: Unpack[DeploymentOptions]) -> Deployment[D]:
        """A new deployment with some settings changed; this one stays as it is.

        >>> from mesh.deployments import deployment
        >>> @deployment(num_replicas=2)
        ... def shout(text: str) -> str:
        ...     return text.upper()
        >>> shout.options(name="loud").num_replicas
        2
        """
        return dataclasses.replace(self, **changed_fields(options, self.config))

    @overload
    def bind(self: Deployment[type[C]], *args: Any, **kwargs: Any) -> ClassNode[C]: ...
    @overload
    def bind(self, *args: Any, **kwargs: Any) -> FunctionNode[D]: ...
    def bind(self, *args: Any, **kwargs: Any) -> ClassNode[Any] | FunctionNode[D]:
        """A node of a graph: a class with the arguments of its constructor, or a function with its arguments.

        Other nodes may be arguments, also inside lists, tuples and dicts. Raises :class:`ConfigError` for what
        cannot be one.
        """
        if not isinstance(self.target, type):
            return FunctionNode(self, args, kwargs)
        if not args and not kwargs:
            return ClassNode(self, self.init_args, dict(self.init_kwargs))
        return ClassNode(self, args, kwargs)

    def deploy(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not in this version."""
        raise NotSupportedYet(f"{self.name}.deploy(...) is not supported yet: use mesh.run({self.name}.bind(...))")

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"{self.name} is a deployment and is not called directly: mesh.run({self.name}.bind(...)) gives a handle, "
            f"and handle.remote(...) calls it; without replicas, {self.name}.target(...) calls the plain code"
        )

    def __mro_entries__(self, bases: tuple[object, ...]) -> NoReturn:
        raise TypeError(
            f"{self.name} is a deployment: derive from {self.name}.target, or decorate only what is derived"
        )

    def __repr__(self) -> str:
        return f"Deployment(name={self.name},version={self.version},route_prefix={self.route_prefix})"

    @property
    def __mesh_target__(self) -> D:
        """How :mod:`mesh.target` finds the target where an import path leads to the deployment."""
        return self.target


@overload
def deployment(target: D, /) -> Deployment[D]: ...
@overload
def deployment(**options: Unpack[DeploymentOptions]) -> Callable[[D], Deployment[D]]: ...
def deployment(
    target: Callable[..., Any] | None = None, /, **options: Unpack[DeploymentOptions]
) -> Deployment[Any] | Callable[[Any], Deployment[Any]]:
    """Makes a class, a function or an ``async def`` function a deployment; bare or with :class:`DeploymentOptions`.

    >>> from mesh.deployments import deployment
    >>> @deployment
    ... class Model:
    ...     def predict(self, x: int) -> int:
    ...         return x + 1
    >>> Model
    Deployment(name=Model,version=None,route_prefix=/Model)

    Raises :class:`ConfigError` for an option of a wrong name, type or value.
    """
    changes = changed_fields(options, DeploymentConfig())
    if target is not None:
        return _decorate(target, changes)
    return lambda target: _decorate(target, changes)


def _decorate(target: Any, changes: Mapping[str, Any]) -> Deployment[Any]:
    if isinstance(target, Deployment):
        raise ConfigError(f"{target!r} is a deployment already: use its options(...) to make another one")
    if not isinstance(target, type) and not inspect.isroutine(getattr(target, "__mesh_batched__", target)):
        raise TypeError(f"@deployment goes on a class or a function, not on {target!r}; options are given by keyword")
    return Deployment(**{"target": target, "name": target.__name__, "methods": methods_of(target), **changes})
