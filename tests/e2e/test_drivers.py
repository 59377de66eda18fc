"""Drivers in front of graphs, with real processes: streams as outputs, several routes, adapters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest

import mesh
from mesh.dag import DeploymentNode, InputNode
from mesh.drivers import DAGDriver
from mesh.http_adapters import json_request, json_to_ndarray
from mesh.v1.predict_pb2 import PredictStreamRequest
from mesh.v1.predict_pb2_grpc import PredictServiceStub
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import RunningMesh
from tests.services.drivers import Order, Passing, Tokens, Upper, annotated, double, identity, refused

Handle = mesh.DeploymentHandle


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def url(own_mesh: RunningMesh) -> str:
    """Of the driver of several graphs."""
    tokens, upper = Tokens.bind(), Upper.bind()
    with InputNode() as x:
        graphs = {
            "/count": tokens.count.bind(x),
            "/turn": tokens.count_on_turn.bind(x),
            "/fail": tokens.fail.bind(x),
            "/upper": upper.each.bind(tokens.count.bind(x)),
            "/upper-fail": upper.each.bind(tokens.fail.bind(x)),
            "/join": upper.join.bind(tokens.count.bind(x)),
            "/endless": tokens.endless.bind(x),
            "/double": double.bind(x),
            "/double/again": double.bind(double.bind(x)),
            "/refused": refused.bind(x),
        }
    mesh.run(DAGDriver.bind(graphs, http_adapter=json_request), name="drivers", route_prefix="/d")
    return f"{own_mesh.url}/d"


@pytest.fixture
def driver(url: str) -> Handle:
    """The driver of several graphs."""
    return mesh.DeploymentHandle("drivers", "DAGDriver")


# --- several graphs behind one driver


@pytest.mark.feature("80")
@pytest.mark.feature("82")
def test_each_route_runs_its_graph(url: str, driver: Handle) -> None:
    assert httpx.post(f"{url}/double", json=3).json() == 6
    assert httpx.post(f"{url}/double/below", json="x").json() == "xx"
    assert httpx.post(f"{url}/double/again", json=3).json() == 12
    assert driver.predict_with_route.remote("/double/again", 3).result(LIMIT_S) == 12
    answer = httpx.post(f"{url}/refused", json="tea")
    assert (answer.status_code, answer.text) == (418, "no tea")


@pytest.mark.feature("80")
@pytest.mark.feature("82")
def test_what_a_driver_does_not_answer(url: str, driver: Handle) -> None:
    unknown = httpx.post(f"{url}/doubles", json=3)
    assert (unknown.status_code, "/double, /double/again" in unknown.text) == (404, True)
    put = httpx.put(f"{url}/double", json=3)
    assert (put.status_code, put.headers["allow"]) == (405, "GET, POST")
    assert httpx.post(f"{url}/double", content=b"{").status_code == 400
    with pytest.raises(ValueError, match="the route '/no'; there are /count, "):
        driver.predict_with_route.remote("/no", 3).result(LIMIT_S)
    with pytest.raises(ValueError, match="call predict_with_route"):
        driver.predict.remote(3).result(LIMIT_S)


# --- a stream as the output of a graph

STREAMED = [0, "text 1", [2], 3]
FEATURE_57 = pytest.mark.feature("57")


def _graph(bind: Callable[[Any], DeploymentNode]) -> DeploymentNode:
    with InputNode() as x:
        return bind(x)


@FEATURE_57
def test_stream_by_handle_of_a_driver(own_mesh: RunningMesh) -> None:
    with InputNode() as x:
        output = Upper.bind().each.bind(Tokens.bind().count.bind(x))
    handle = mesh.run(DAGDriver.bind(output), name="one-stream", route_prefix=None)
    handle.predict.remote(0).result(LIMIT_S)  # from now on it is known that it yields
    items = handle.predict.remote(3)
    assert isinstance(items, mesh.DeploymentResponseGenerator)
    assert list(items) == ["0", "TEXT 1", "[2]"]


@FEATURE_57
def test_streams_by_handle_and_route(driver: Handle) -> None:
    def items(route: str, number: int) -> list[Any]:
        return list(driver.predict_with_route.remote(route, number).result(LIMIT_S))

    assert items("/count", 4) == STREAMED
    assert items("/turn", 4) == [0, 1, 2, 3]
    assert items("/upper", 2) == ["0", "TEXT 1"]
    assert driver.predict_with_route.remote("/join", 3).result(LIMIT_S) == "0 text 1 [2]"
    for route in ("/fail", "/upper-fail"):
        with pytest.raises(LookupError, match="nothing after 3"):
            items(route, 3)


@FEATURE_57
def test_streams_by_http_are_lines_of_json(url: str) -> None:
    answer = httpx.post(f"{url}/count", json=4)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == STREAMED
    assert httpx.post(f"{url}/turn", json=3).text == "0\n1\n2\n"
    assert httpx.post(f"{url}/upper", json=2).text == '"0"\n"TEXT 1"\n'
    assert httpx.post(f"{url}/count", json=0).text == ""


@FEATURE_57
@pytest.mark.parametrize("route", ["/fail", "/upper-fail"])
def test_stream_that_fails_half_way_is_broken_off(url: str, route: str) -> None:
    received: list[str] = []
    with httpx.stream("POST", f"{url}{route}", json=3) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            received.extend(answer.iter_lines())
    assert len(received) <= 3
    before_the_first = httpx.post(f"{url}{route}", json=0)
    assert (before_the_first.status_code, before_the_first.text[:28]) == (500, "LookupError: nothing after 0")


@FEATURE_57
def test_client_that_does_not_read_holds_the_generator_and_its_leaving_ends_it(url: str, driver: Handle) -> None:
    tokens = mesh.DeploymentHandle("drivers", "Tokens")
    size = 65_536
    with httpx.stream("POST", f"{url}/endless", json=size) as answer:
        next(answer.iter_raw())
        yielded, before = tokens.yielded.remote().result(LIMIT_S), -1
        while yielded != before:
            yielded, before = tokens.yielded.remote().result(LIMIT_S), yielded
        assert yielded < 500  # what the windows of two sessions and the buffers of two sockets hold
    assert tokens.ended.remote().result(LIMIT_S)


@FEATURE_57
def test_deployment_answers_http_with_the_stream_of_another(own_mesh: RunningMesh) -> None:
    mesh.run(Passing.bind(Tokens.bind()), name="passing", route_prefix="/passing")
    url = f"{own_mesh.url}/passing"
    assert httpx.get(url, params={"method": "count", "number": 3}).text == "0\ntext 1[2]\n"
    with (
        httpx.stream("GET", url, params={"method": "fail", "number": 3}) as answer,
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
    ):
        answer.read()
    assert httpx.get(url, params={"method": "fail", "number": 0}).status_code == 500


@FEATURE_57
def test_client_of_the_door_reads_the_stream_of_a_graph(own_mesh: RunningMesh) -> None:
    graph = DAGDriver.bind(_graph(Tokens.bind().count.bind))
    mesh.run(graph, name="through-the-door", route_prefix=None)
    with grpc.insecure_channel(mesh.status().grpc_address) as channel:
        request = PredictStreamRequest(application="through-the-door", body=b"4")
        answers = PredictServiceStub(channel).PredictStream(request, timeout=LIMIT_S)
        assert [json.loads(answer.body) for answer in answers] == STREAMED


# --- adapters


@pytest.fixture(scope="module")
def adapted(own_mesh: RunningMesh) -> Callable[[object], str]:
    """Runs a graph behind an adapter, each in place of the one before; gives its address."""

    def run(adapter: object) -> str:
        graph = _graph(double.bind if adapter is json_to_ndarray else identity.bind)
        mesh.run(DAGDriver.bind(graph, http_adapter=adapter), name="adapted", route_prefix="/adapted")
        return f"{own_mesh.url}/adapted"

    return run


@pytest.mark.feature("85")
def test_model_class_as_an_adapter(adapted: Callable[[object], str]) -> None:
    url = adapted(Order)
    assert httpx.post(url, json={"article": "tea"}).json() == {"article": "tea", "count": 1}
    wrong = httpx.post(url, json={"article": "tea", "count": "many"})
    assert (wrong.status_code, "field 'count'" in wrong.text) == (422, True)
    assert httpx.post(url, content=b"{").status_code == 400


@pytest.mark.feature("85")
@pytest.mark.feature("86")
@pytest.mark.feature("93")
def test_adapter_by_name_with_parameters_that_fastapi_reads(adapted: Callable[[object], str]) -> None:
    url = adapted("tests.services.drivers:annotated")
    answer = httpx.post(f"{url}/below", params={"number": 2, "tag": "t"}, json={"array": [1, 2]})
    assert answer.json() == [2, [2, 4], "t"]
    wrong = httpx.post(url, params={"number": "two"}, json={"array": [1, 2]})
    assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["query", "number"])
    assert httpx.delete(url).status_code == 405
    assert annotated.__name__ in repr(annotated)


@pytest.mark.feature("89")
def test_array_as_the_input_of_a_graph(adapted: Callable[[object], str]) -> None:
    url = adapted(json_to_ndarray)
    assert httpx.post(url, json={"array": [1, 2], "shape": [2, 1]}).json() == [[2], [4]]
    wrong = httpx.post(url, json={"shape": [2, 1]})
    assert (wrong.status_code, "field 'array'" in wrong.text) == (422, True)
