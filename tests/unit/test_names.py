"""The public names: each is there, is what it is called, and is loaded when it is first used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pydot
import pytest

import mesh
from mesh import dag, deployment_graph, drivers, http_adapters


@pytest.mark.feature("1")
@pytest.mark.parametrize("name", mesh.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(mesh, name)
    assert value.__name__ == name
    assert inspect.getdoc(value)


@pytest.mark.feature("1")
def test_the_names_that_programs_use() -> None:
    names = (
        "deployment start run list_deployments get_deployment delete status shutdown batch multiplexed ingress "
        "get_replica_context get HTTPOptions Deployment DeploymentHandle DeploymentResponse Ref"
    )
    assert set(names.split()) <= set(mesh.__all__)
    assert set(mesh.__all__) <= set(dir(mesh))
    with pytest.raises(AttributeError, match="no_such_name"):
        mesh.no_such_name  # noqa: B018


@pytest.mark.feature("3")
def test_the_names_of_graphs() -> None:
    assert issubclass(dag.ClassNode, dag.DeploymentNode)
    assert issubclass(dag.FunctionNode, dag.DeploymentNode)
    assert issubclass(dag.MethodNode, dag.DeploymentNode)
    assert deployment_graph.InputNode is dag.InputNode


@pytest.mark.feature("4")
def test_the_driver_is_a_deployment() -> None:
    assert isinstance(drivers.DAGDriver, mesh.Deployment)
    assert drivers.DAGDriver.options(route_prefix="/there").route_prefix == "/there"


@pytest.mark.feature("5")
def test_the_names_of_adapters() -> None:
    names = "json_request starlette_request json_to_ndarray json_to_multi_ndarray image_to_ndarray pandas_read_json"
    assert all(inspect.iscoroutinefunction(getattr(http_adapters, name)) for name in names.split())


@pytest.mark.feature("6")
def test_the_drawing_is_of_pydot() -> None:
    @mesh.deployment
    def alone() -> None: ...

    assert isinstance(dag.to_dot(alone.bind()), pydot.Dot)


@pytest.mark.feature("5")
def test_adapters_cost_no_import_of_what_they_may_need() -> None:
    code = "import sys, mesh.drivers; print({'numpy', 'pandas', 'PIL', 'pydantic', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "set()\n"
