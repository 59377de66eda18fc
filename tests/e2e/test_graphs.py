"""Graphs that run: every row of their promises with real processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

import mesh
from mesh import errors
from mesh.dag import DeploymentNode, InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import RunningMesh
from tests.services.graphs import Adder, Driver, Meeting, Point, combine, describe, total

Handle = mesh.DeploymentHandle


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def run(own_mesh: RunningMesh) -> Callable[..., Handle]:
    """Runs a node under one name: each replaces what was there before."""
    return lambda node, **options: mesh.run(node, name="graph", **options)


def _predict(run: Callable[..., Handle], output: DeploymentNode, *args: Any, **kwargs: Any) -> Any:
    """The output of a graph for this input."""
    return run(DAGDriver.bind(output)).predict.remote(*args, **kwargs).result(LIMIT_S)


@pytest.mark.feature("66")
@pytest.mark.feature("67")
@pytest.mark.feature("72")
def test_one_input_to_several_nodes_of_one_class(run: Callable[..., Handle]) -> None:
    one, ten = Adder.bind(1), Adder.bind(10)
    with InputNode() as number:
        output = combine.bind(one.add.bind(number), ten.add_on_turn.bind(number), number)
    assert _predict(run, output, 5) == [6, 15, 5]
    (application,) = mesh.status().applications
    assert {deployment.name for deployment in application.deployments} == {"DAGDriver", "combine", "Adder", "Adder_1"}


@pytest.mark.feature("72")
def test_chain_built_in_a_loop_and_keyword_edges(run: Callable[..., Handle]) -> None:
    with InputNode() as number:
        output: Any = number
        for summand in (1, 2, 3):
            output = Adder.bind(summand).add.bind(output, also=number)
    assert _predict(run, output, 10) == 10 + 1 + 10 + 2 + 10 + 3 + 10


@pytest.mark.feature("74")
def test_nodes_inside_of_containers_arrive_as_refs(run: Callable[..., Handle]) -> None:
    adder = Adder.bind(1)
    with InputNode() as number:
        output = total.bind([adder.add.bind(number), adder.add.bind(2), number])
    assert _predict(run, output, 5) == (["Ref", "Ref", "int"], 14)


@pytest.mark.feature("71")
def test_parts_of_the_input(run: Callable[..., Handle]) -> None:
    with InputNode() as x:
        output = describe.bind(x[0], x["key"], x[0]["a"][1].x, named=x.key)
    (args, kwargs) = _predict(run, output, {"a": [0, Point("deep")]}, key=7)
    assert args[1:] == [7, "deep"]
    assert kwargs == {"named": 7}


@pytest.mark.feature("75")
def test_shared_node_runs_once_a_request(run: Callable[..., Handle]) -> None:
    shared = Adder.options(name="Shared").bind(1)
    with InputNode() as number:
        middle = shared.add.bind(number)
        output = combine.bind(middle, Adder.bind(10).add.bind(middle), middle)
    driver = run(DAGDriver.bind(output))
    for number in range(3):
        assert driver.predict.remote(number).result(LIMIT_S) == [number + 1, number + 11, number + 1]
    assert Handle("graph", "Shared").calls.remote().result() == 3


@pytest.mark.feature("76")
def test_independent_branches_run_at_the_same_time(run: Callable[..., Handle]) -> None:
    meeting = Meeting.bind()
    with InputNode() as number:
        output = combine.bind(meeting.meet.bind(number), meeting.meet.bind(number))
    assert _predict(run, output, 1) == ["met", "met"]


@pytest.mark.feature("78")
@pytest.mark.feature("79")
@pytest.mark.parametrize(
    ("output", "value"),
    [
        pytest.param(lambda: _of_input(describe.bind), [[3], {}], id="a function node"),
        pytest.param(lambda: _of_input(Adder.bind(1).add.bind), 4, id="a method node"),
        pytest.param(lambda: Adder.bind(1), 300, id="a class node: its __call__"),
    ],
)
def test_driver_of_each_kind_of_node_by_http_and_by_handle(
    run: Callable[..., Handle], own_mesh: RunningMesh, output: Callable[[], DeploymentNode], value: Any
) -> None:
    driver = run(DAGDriver.bind(output(), http_adapter=json_request), route_prefix="/graph")
    assert driver.predict.remote(3).result(LIMIT_S) == value
    answer = httpx.post(f"{own_mesh.url}/graph/any/path", json=3)
    assert (answer.status_code, answer.json()) == (200, value)
    bad = httpx.post(f"{own_mesh.url}/graph", content=b"{no json")
    assert (bad.status_code, "no JSON" in bad.text) == (400, True)


def _of_input(bind: Callable[..., DeploymentNode]) -> DeploymentNode:
    with InputNode() as number:
        return bind(number)


@pytest.mark.feature("83")
def test_driver_of_the_users_own(run: Callable[..., Handle], own_mesh: RunningMesh) -> None:
    adder = Adder.bind(1)
    with InputNode() as number:
        output = combine.bind(adder.add.bind(number), number)
    driver = run(Driver.bind(output, {"adder": adder}), route_prefix="/own")
    graph, nested, _ = driver.all.remote(5).result(LIMIT_S)
    assert (graph, nested) == ([6, 5], 6)
    assert httpx.get(f"{own_mesh.url}/own", params={"number": "5"}).json() == [6, 5]


@pytest.mark.feature("56")
def test_error_of_a_node_is_the_error_of_the_graph(run: Callable[..., Handle], own_mesh: RunningMesh) -> None:
    output = _of_input(Adder.bind(1).add.bind)
    driver = run(DAGDriver.bind(output, http_adapter=json_request), route_prefix="/graph")
    with pytest.raises(TypeError, match="can only concatenate str"):
        driver.predict.remote("no number").result(LIMIT_S)
    answer = httpx.post(f"{own_mesh.url}/graph", json="no number")
    assert answer.status_code == 500
    assert answer.text.startswith("TypeError: can only concatenate str")


# --- run


@pytest.mark.feature("14")
@pytest.mark.feature("12")
def test_options_hold_inside_of_a_graph(run: Callable[..., Handle], own_mesh: RunningMesh) -> None:
    two = Adder.options(name="Two", num_replicas=2)
    assert _predict(run, _of_input(two.bind(1).add.bind), 1) == 2
    assert len(own_mesh.replicas("Two#")) == 2
    assert Adder.name == "Adder"
    assert Adder.num_replicas == 1


def _running() -> set[str]:
    """The replicas that take requests; those that end meanwhile are left out."""
    return {
        replica.replica_id
        for application in mesh.status().applications
        for deployment in application.deployments
        for replica in deployment.replicas
        if replica.state == "RUNNING"
    }


@pytest.mark.feature("59")
def test_what_did_not_change_keeps_its_replicas(run: Callable[..., Handle]) -> None:
    def graph(second: int) -> DeploymentNode:
        with InputNode() as number:
            return combine.bind(Adder.bind(1).add.bind(number), Adder.bind(second).add.bind(number))

    assert _predict(run, graph(10), 0) == [1, 10]
    before = _running()
    assert _predict(run, graph(20), 0) == [1, 20]
    kept = {replica_id.partition("#")[0] for replica_id in before & _running()}
    assert kept >= {"combine", "Adder"}
    assert "Adder_1" not in kept


@pytest.mark.feature("20")
def test_every_replica_is_a_process_of_its_own(run: Callable[..., Handle], own_mesh: RunningMesh) -> None:
    one, two = Adder.options(num_replicas=2, name="One"), Adder.options(num_replicas=2, name="Two")
    with InputNode() as number:
        output = combine.bind(one.bind(1).add.bind(number), two.bind(2).add.bind(number))
    assert _predict(run, output, 0) == [1, 2]
    pids = [*own_mesh.replicas("One#").values(), *own_mesh.replicas("Two#").values()]
    assert len(set(pids)) == 4


@pytest.mark.feature("62")
def test_function_alone_runs(run: Callable[..., Handle]) -> None:
    assert run(describe.bind(), route_prefix=None).remote(1, a=2).result(LIMIT_S) == [[1], {"a": 2}]


@pytest.mark.feature("62")
@pytest.mark.feature("61")
@pytest.mark.parametrize(
    ("node", "error", "says"),
    [
        pytest.param(lambda: _of_input(describe.bind), errors.ConfigError, "DAGDriver", id="a function of an input"),
        pytest.param(lambda: _of_input(Adder.bind(1).add.bind), errors.ConfigError, "DAGDriver", id="a method"),
        pytest.param(lambda: Adder, TypeError, "bind", id="a deployment that is not bound"),
        pytest.param(lambda: 3, TypeError, "3", id="a number"),
        pytest.param(
            lambda: Driver.bind(Adder.options(route_prefix="/inner").bind(1), {}),
            errors.ConfigError,
            "route prefix",
            id="a prefix below the root",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_and_changes_nothing(
    run: Callable[..., Handle], own_mesh: RunningMesh, node: Callable[[], Any], error: type[Exception], says: str
) -> None:
    run(describe.bind())
    before = own_mesh.replicas()
    with pytest.raises(error, match=says):
        run(node())
    assert own_mesh.replicas().items() <= before.items()  # one of an earlier test may have ended meanwhile
