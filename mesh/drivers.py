"""Drivers: ordinary deployments that run a graph for every request, by a :class:`mesh.graph_handle.GraphHandle`.

Any class whose constructor takes the output of a graph is a driver: it gets a :class:`GraphHandle` there.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mesh.answers import json_answer
from mesh.config import MethodKind, check_route_prefix
from mesh.dag.nodes import ClassNode, DeploymentNode
from mesh.deployments import Deployment, deployment
from mesh.errors import ConfigError
from mesh.graph_handle import GraphHandle
from mesh.graph_input import Refused, reader_of
from mesh.handle import DeploymentHandle
from mesh.type_variables import D

__all__ = ["DAGDriver", "DriverDeployment", "GraphHandle"]

C = TypeVar("C")


class DriverDeployment(Deployment[D]):
    """The deployment of a driver: what it cannot be bound to is refused at once, not in its replicas."""

    __slots__ = ()

    def bind(  # type: ignore[override] # see above
        self: DriverDeployment[type[C]], dag: object = None, http_adapter: object = None
    ) -> ClassNode[C]:
        """A driver of the graph whose output is ``dag``, or of several: ``{"/a": output, "/b": another}``.

        ``http_adapter`` makes the input out of a request, for all routes: see :mod:`mesh.graph_input`.

        Raises :class:`mesh.errors.ConfigError` for what is no node, no route or no adapter, and for an adapter whose
        package is not installed.
        """
        outputs = _by_route(self.name, dag)
        adapter = {} if http_adapter is None else {"http_adapter": http_adapter}
        reader_of(http_adapter)
        yielding = ("predict", "predict_with_route") if len(outputs) == 1 else ("predict_with_route",)
        if not all(_yields(output) for output in outputs.values()):
            return ClassNode(self, (dag,), adapter)
        methods = tuple(
            dataclasses.replace(method, kind=MethodKind.ASYNC_GENERATOR) if method.name in yielding else method
            for method in self.methods
        )
        return ClassNode(dataclasses.replace(self, methods=methods), (dag,), adapter)


def _by_route(driver: str, dag: object) -> dict[str, DeploymentNode[Any]]:
    routes: dict[Any, Any] = dag if isinstance(dag, dict) else {"/": dag}
    if not routes:
        raise ConfigError(f"{driver}.bind takes a node for each route, and got none: {{}}")
    for route, output in routes.items():
        if not isinstance(output, DeploymentNode):
            raise ConfigError(
                f"{driver}.bind takes a node, what bind of a deployment or a method gives, or a dict of nodes by "
                f"route, not {output!r}"
            )
        if not isinstance(route, str):
            raise ConfigError(f"a route of {driver} is a path such as '/a', not {route!r}")
        check_route_prefix(route)
    return routes


def _yields(output: DeploymentNode[Any]) -> bool:
    """Whether the output of the graph is a stream, as far as can be told before it runs."""
    deployment, name = getattr(output, "_node", output)._deployment, getattr(output, "_method", "__call__")
    return any(method.name == name and method.kind.yields for method in deployment.methods)


class _DAGDriver:
    """Answers GET and POST on any path below its prefix with the output of a graph, as JSON.

    Bound to several graphs by route, it runs the one with the longest route that the path begins with, by whole
    segments. ``http_adapter`` makes the input of the graph; without one the input is the request itself. An output that
    is a Starlette Response is the answer as it is; a stream is one line of JSON for each item. Bound to a ClassNode, it
    calls that deployment's ``__call__``.
    """

    def __init__(
        self, dag: GraphHandle | DeploymentHandle | dict[str, GraphHandle | DeploymentHandle], http_adapter: Any = None
    ) -> None:
        self._graphs = dag if isinstance(dag, dict) else {"/": dag}
        self._read = reader_of(http_adapter)

    async def __call__(self, request: Request) -> Response:
        """The answer to an HTTP request."""
        if not isinstance(request, Request):
            raise TypeError(
                f"a driver that is called itself answers an HTTP request, not a {type(request).__name__}; "
                "by handle, give the input of the graph to handle.predict.remote(...)"
            )
        graph = self._graph_for(request.scope["path"])
        if graph is None:
            text = f"Nothing answers at {request.url.path}; the routes here are {', '.join(self._graphs)}.\n"
            return PlainTextResponse(text, 404)
        if request.method not in _METHODS:
            text = f"{request.url.path} answers {' and '.join(_METHODS)}, not {request.method}.\n"
            return PlainTextResponse(text, 405, {"Allow": ", ".join(_METHODS)})
        try:
            graph_input = await self._read(request)
        except Refused as refused:
            return refused.answer
        return await json_answer(await graph(graph_input))

    def _graph_for(self, path: str) -> GraphHandle | DeploymentHandle | None:
        while path:
            if path in self._graphs:
                return self._graphs[path]
            path = path.rpartition("/")[0]
        return self._graphs.get("/")

    async def predict(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the graph for this input: the way of Python code, without adapter and JSON."""
        if len(self._graphs) > 1:
            raise ValueError(
                f"this driver has {len(self._graphs)} graphs: call predict_with_route.remote(route, ...), "
                f"with one of {', '.join(self._graphs)}"
            )
        [graph] = self._graphs.values()
        # Returned without being awaited: the output travels on in the payload that it comes in.
        return graph.remote(*args, **kwargs)

    async def predict_with_route(self, route: str, /, *args: Any, **kwargs: Any) -> Any:
        """As :meth:`predict`, of the graph that was bound to exactly this route."""
        if route not in self._graphs:
            raise ValueError(f"no graph was bound to the route {route!r}; there are {', '.join(self._graphs)}")
        return self._graphs[route].remote(*args, **kwargs)


_METHODS: Final = ("GET", "POST")


def _driver(target: type[C]) -> DriverDeployment[type[C]]:
    target.__name__ = target.__qualname__ = target.__name__.lstrip("_")
    made = deployment(target)
    return DriverDeployment(**{field.name: getattr(made, field.name) for field in dataclasses.fields(made)})


DAGDriver = _driver(_DAGDriver)
