"""How a graph is run from Python: by a handle on all of it, as a deployment is called by its handle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mesh.dag.execute import Plan, execute
from mesh.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator


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
