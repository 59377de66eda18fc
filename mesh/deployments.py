"""``@deployment``: a class or a function with settings, from which graphs are bound."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, Unpack, overload

from mesh.config import (
    ApplicationSpec,
    DeploymentConfig,
    DeploymentSpec,
    Method,
    RoutePrefix,
    check_name,
    check_route_prefix,
)
from mesh.dag.nodes import ClassNode, FunctionNode
from mesh.errors import ConfigError
from mesh.options import DeploymentOptions, changed_fields
from mesh.stored import StoredDeployment
from mesh.target import methods_of
from mesh.type_variables import D
from mesh.user_config import decode_user_config

if TYPE_CHECKING:
    from mesh.handle import DeploymentHandle
    from mesh.single_deploy import DeployedMesh

C = TypeVar("C")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Deployment(Generic[D]):
    """A class or a function, its name and its settings. Made by :func:`deployment`, never changed.

    ``init_args`` and ``init_kwargs`` are what the constructor gets when ``bind`` is given nothing. ``own_route_prefix``
    is the route prefix that was set, if one was. One that was found in a mesh has ``stored`` instead of ``code``: the
    class or function is loaded when it is asked for, and deploying again needs it only for new arguments.

    Two are equal when their names, versions, settings and route prefixes are. (Of code that was pickled nobody can
    tell whether it is the same, and arguments need not be comparable.)
    """

    code: D | None
    name: str
    version: str | None = None
    config: DeploymentConfig = field(default_factory=DeploymentConfig)
    init_args: tuple[Any, ...] = field(default=(), hash=False)
    init_kwargs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    own_route_prefix: str | RoutePrefix | None = RoutePrefix.UNSET
    methods: tuple[Method, ...] = ()
    stored: StoredDeployment | None = None

    def __post_init__(self) -> None:
        check_name("deployment", self.name)
        if self.version is not None and (not isinstance(self.version, str) or not self.version):
            raise ConfigError(f"version must be None or a string that is not empty, not {self.version!r}")
        if not isinstance(self.own_route_prefix, RoutePrefix):
            check_route_prefix(self.own_route_prefix)
        if (self.init_args or self.init_kwargs) and self.code is not None and not isinstance(self.code, type):
            raise ConfigError(f"{self.name} is a function: no constructor takes its init_args and init_kwargs")
        if self.config.user_config_json and all(method.name != "reconfigure" for method in self.methods):
            raise ConfigError(
                f"{self.name} has a user_config and no method that takes it: give it a reconfigure(self, user_config)"
            )

    @property
    def target(self) -> D:
        """The class or function. Raises :class:`ConfigError` when a stored one cannot be loaded in this process."""
        if self.code is not None:
            return self.code
        assert self.stored is not None, "a deployment has its code or is stored"
        loaded: Any = self.stored.load_target()
        return loaded  # type: ignore[no-any-return] # what was stored was a D

    @property
    def application_name(self) -> str:
        """The application that :meth:`deploy` makes or changes: of its name, or the one where it was found."""
        stored = self.stored
        return stored.application.name if stored and stored.spec.name == self.name else self.name

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
            if self.stored and not self.init_args and not self.init_kwargs:
                args, kwargs = self.stored.load_arguments()
                return ClassNode(self, args, kwargs)
            return ClassNode(self, self.init_args, dict(self.init_kwargs))
        return ClassNode(self, args, kwargs)

    def deploy(self, *args: Any, **kwargs: Any) -> None:
        """Serve it, built with these arguments, as an application of its name; returns when all its replicas run.

        Without arguments those of ``init_args`` and ``init_kwargs`` count, or those that it was deployed with before,
        for one that :func:`mesh.get_deployment` found. Deployed again, the new replicas come up before the old ones
        go; with a ``version``, equal code and equal arguments only the settings change and the replicas stay. Starts
        a mesh where this process has none.

        Raises :class:`mesh.errors.DeployFailed` with the user's traceback when a replica does not start, and
        :class:`mesh.errors.DeployInProgress` while somebody else deploys the same application.
        """
        from mesh import meshes
        from mesh.local import own
        from mesh.single_deploy import prepare

        if own.is_wanted() or meshes.local() is not None:
            local, application = prepare(self, args, kwargs, own.start)
            local.deploy(application)
            return
        with meshes.starting() as start:
            from mesh import deploying

            mesh, application = prepare(self, args, kwargs, start)
            deploying.deploy(mesh, application)
            mesh.say_at_exit()

    def delete(self) -> None:
        """Take it away, and wait until its replicas have ended what they had begun.

        Raises :class:`mesh.errors.DeploymentNotFound` when it is not deployed, :class:`ConfigError` when it is one of
        several deployments of an application, which is deleted as a whole: :func:`mesh.delete`.
        """
        from mesh import meshes
        from mesh.single_deploy import locate

        local = meshes.local()
        if local is None:
            meshes.to_ask().check_may_deploy()
        application, name = locate(meshes.asked(), self)
        if others := [one.name for one in application.deployments if one.name != name]:
            raise ConfigError(
                f"{name!r} is part of application {application.name!r}, with {', '.join(others)}: "
                f"mesh.delete({application.name!r}) takes all of it away"
            )
        if local is not None:
            local.delete(application.name)
        else:
            from mesh import deploying

            deploying.delete(meshes.to_ask(), application.name)

    @overload
    def get_handle(self: Deployment[type[C]]) -> DeploymentHandle[C]: ...  # type: ignore[overload-overlap] # classes first
    @overload
    def get_handle(self) -> DeploymentHandle[D]: ...
    def get_handle(self) -> DeploymentHandle[Any]:
        """A handle that calls it; raises :class:`mesh.errors.DeploymentNotFound` when it is not deployed."""
        from mesh import meshes
        from mesh.handle import DeploymentHandle
        from mesh.single_deploy import locate

        mesh = meshes.asked()
        application, name = locate(mesh, self)
        return DeploymentHandle(application.name, name, run_directory=mesh.run_directory)

    @property
    def url(self) -> str | None:
        """Where it answers HTTP once it is deployed by itself; None when it has no route or the mesh no HTTP."""
        from mesh import meshes

        url = meshes.asked().url
        return f"{url}{self.route_prefix}" if url and self.route_prefix else None

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError, which says what to do instead: a deployment is served, not called."""
        raise RuntimeError(
            f"{self.name} is a deployment and is not called directly: mesh.run({self.name}.bind(...)) gives a handle, "
            f"and handle.remote(...) calls it; without replicas, {self.name}.target(...) calls the plain code"
        )

    def __mro_entries__(self, bases: tuple[object, ...]) -> NoReturn:
        raise TypeError(
            f"{self.name} is a deployment: derive from {self.name}.target, or decorate only what is derived"
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Deployment):
            return NotImplemented
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.name, self.version, self.config, self.route_prefix

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


def stored_deployment(mesh: DeployedMesh, application: ApplicationSpec, spec: DeploymentSpec) -> Deployment[Any]:
    """A deployment as it is found in a mesh."""
    blobs = mesh.blobs(set(spec.blob_names()))
    route_prefix = application.route_prefix if spec.name == application.driver else None
    return Deployment(
        code=None,
        name=spec.name,
        version=spec.version or None,
        config=spec.config,
        own_route_prefix=RoutePrefix.UNSET if route_prefix == f"/{spec.name}" else route_prefix,
        methods=spec.methods,
        stored=StoredDeployment(application, spec, blobs),
    )


def _decorate(target: Any, changes: Mapping[str, Any]) -> Deployment[Any]:
    if isinstance(target, Deployment):
        raise ConfigError(f"{target!r} is a deployment already: use its options(...) to make another one")
    if not isinstance(target, type) and not inspect.isroutine(getattr(target, "__mesh_batched__", target)):
        raise TypeError(f"@deployment goes on a class or a function, not on {target!r}; options are given by keyword")
    return Deployment(**{"code": target, "name": target.__name__, "methods": methods_of(target), **changes})
