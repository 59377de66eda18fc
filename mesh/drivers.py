"""Drivers: ordinary deployments that run a graph for every request. :class:`GraphHandle` is what they run it by.

Any class whose constructor takes the output of a graph is a driver: it gets a :class:`GraphHandle` there.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mesh.answers import json_answer
from mesh.dag.execute import Plan, execute
from mesh.dag.nodes import ClassNode, DeploymentNode
from mesh.deployments import Deployment, deployment
from mesh.errors import ConfigError, MeshError, NotSupportedYet
from mesh.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator
from mesh.http_adapters import Adapter, check_adapter, starlette_request
from mesh.type_variables import D

C = TypeVar("C")


class GraphHandle:
    """Runs a graph: what the output of a graph becomes where it is an argument of a constructor.

    It is called as the handle of a deployment is: ``await graph(x)`` gives the output for the input ``x``,
    ``graph.remote(x)`` starts and gives a :class:`mesh.handle.DeploymentResponse`. ``handles`` has the handle of every
    deployment that the plan names.
    """

    def __init__(self, plan: Plan, handles: Mapping[str, DeploymentHandle]) -> None:
        self._plan = plan
        self._handles = dict(handles)
        self._methods: dict[tuple[str, str], Callable[..., DeploymentResponse | DeploymentResponseGenerator]] = {}

    def remote(self, *args: Any, **kwargs: Any) -> DeploymentResponse | DeploymentResponseGenerator:
        """Start the whole graph; each node runs once, those that do not wait for each other at the same time."""
        return execute(self._plan, args, kwargs, self._call)

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        """Run the graph from a coroutine; the awaitable gives its output."""
        return self.remote(*args, **kwargs).value()

    def _call(
        self, deployment: str, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> DeploymentResponse | DeploymentResponseGenerator:
        remote = self._methods.get((deployment, method))
        if remote is None:
            remote = self._handles[deployment].options(method_name=method).remote
            self._methods[deployment, method] = remote
        return remote(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return GraphHandle, (self._plan, self._handles)

    def __repr__(self) -> str:
        return f"GraphHandle({', '.join(sorted(self._handles))})"


class DriverDeployment(Deployment[D]):
    """The deployment of a driver: what it cannot be bound to is refused at once, not in its replicas."""

    __slots__ = ()

    def bind(  # type: ignore[override] # see above
        self: DriverDeployment[type[C]], dag: object = None, http_adapter: object = None
    ) -> ClassNode[C]:
        """A driver of the graph whose output is ``dag``; ``http_adapter`` makes its input out of a request."""
        if isinstance(dag, dict):
            raise NotSupportedYet(
                "a driver of several graphs by route ({'/a': node}) is not supported yet: bind one node"
            )
        if not isinstance(dag, DeploymentNode):
            raise ConfigError(
                f"{self.name}.bind takes a node, what bind of a deployment or a method gives, not {dag!r}"
            )
        if http_adapter is None:
            return ClassNode(self, (dag,), {})
        check_adapter(http_adapter)
        return ClassNode(self, (dag,), {"http_adapter": http_adapter})


class _DAGDriver:
    """Answers GET and POST on any path below its prefix with the output of a graph, as JSON.

    ``http_adapter(request)`` makes the input of the graph; without one the input is the request itself. An output that
    is a Starlette Response is the answer as it is. Bound to a ClassNode, it calls that deployment's ``__call__``.
    """

    def __init__(self, dag: GraphHandle | DeploymentHandle, http_adapter: Adapter | None = None) -> None:
        self._graph = dag
        self._adapter = http_adapter or starlette_request

    async def __call__(self, request: Request) -> Response:
        """The answer to an HTTP request."""
        if not isinstance(request, Request):
            raise TypeError(
                f"a driver that is called itself answers an HTTP request, not a {type(request).__name__}; "
                "by handle, give the input of the graph to handle.predict.remote(...)"
            )
        if request.method not in _METHODS:
            text = f"{request.url.path} answers {' and '.join(_METHODS)}, not {request.method}.\n"
            return PlainTextResponse(text, 405, {"Allow": ", ".join(_METHODS)})
        try:
            graph_input = await self._input_of(request)
        except HTTPException as refusal:
            return PlainTextResponse(refusal.detail, refusal.status_code, refusal.headers)
        return await json_answer(await self._graph(graph_input))

    async def predict(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the graph for this input: the way of Python code, without adapter and JSON."""
        # Returned without being awaited: the output travels on in the payload that it comes in.
        return self._graph.remote(*args, **kwargs)

    async def predict_with_route(self, *args: Any, **kwargs: Any) -> Any:
        """Not in this version."""
        raise NotSupportedYet("predict_with_route is not supported yet: bind a driver to one node and use predict")

    async def _input_of(self, request: Request) -> Any:
        try:
            graph_input = self._adapter(request)
            return await graph_input if inspect.isawaitable(graph_input) else graph_input
        except MeshError:
            raise
        except _BAD_INPUT as error:
            name = getattr(self._adapter, "__name__", repr(self._adapter))
            raise HTTPException(422, f"{name} cannot read the request: {type(error).__name__}: {error}\n") from error


_METHODS: Final = ("GET", "POST")
_BAD_INPUT: Final = (ValueError, TypeError, LookupError)


def _driver(target: type[C]) -> DriverDeployment[type[C]]:
    target.__name__ = target.__qualname__ = target.__name__.lstrip("_")
    made = deployment(target)
    return DriverDeployment(**{field.name: getattr(made, field.name) for field in dataclasses.fields(made)})


DAGDriver = _driver(_DAGDriver)
