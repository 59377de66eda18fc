"""What the tests of graphs are built from: small deployments, and ``build`` with values for what is outside of it."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

from mesh.config import Application, Runtime
from mesh.dag import DeploymentNode
from mesh.dag.build import build
from mesh.dag.execute import Plan
from mesh.deployments import deployment
from mesh.target import EncodedTarget


class ModelTarget:
    def __init__(self, weight: Any = 0) -> None: ...
    def predict(self, x: Any) -> Any: ...
    def forward(self, x: Any) -> Any: ...


class DriverTarget:
    def __init__(self, *graphs: Any, **options: Any) -> None: ...
    def __call__(self, request: Any) -> Any: ...


def preprocess(x: Any) -> Any: ...
def combine(*outputs: Any, **more: Any) -> Any: ...
def constant() -> int:
    return 5


Model = deployment(name="Model")(ModelTarget)
Driver = deployment(name="Driver")(DriverTarget)
Preprocess = deployment(preprocess)
Combine = deployment(combine)
Constant = deployment(constant)


def built(root: Any, *, name: str = "shop", route_prefix: str | None = "/") -> Application:
    """The application of a graph in which a handle is ("handle", application, name) and a graph its plan."""
    return build(
        root,
        name=name,
        route_prefix=route_prefix,
        runtime=Runtime("python", ("/app",), "/app"),
        dump=cloudpickle.dumps,
        encode_target=lambda target: EncodedTarget(f"module:{target.__qualname__}", "hash"),
        make_handle=lambda application, deployment: ("handle", application, deployment),
        make_graph=lambda plan: plan,
    )


def names(application: Application) -> list[str]:
    """The names of the deployments in their order."""
    return [deployment.name for deployment in application.spec.deployments]


def init_of(application: Application, name: str) -> Any:
    """What the constructor of a deployment gets, as (args, kwargs)."""
    [spec] = [spec for spec in application.spec.deployments if spec.name == name]
    return pickle.loads(application.blobs[spec.init_blob])


def plan_of(output: DeploymentNode) -> Plan:
    """The plan of the graph that leads to ``output``."""
    [plan], _ = init_of(built(Driver.bind(output)), "Driver")
    assert isinstance(plan, Plan)
    return plan
