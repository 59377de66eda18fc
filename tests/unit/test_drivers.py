"""DAGDriver and the handle that runs a graph, with the deployments of the graph in this process."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mesh.dag.execute import Column, Plan, Slot, Step
from mesh.dag.nodes import InputNode
from mesh.deployments import deployment
from mesh.drivers import DAGDriver, DriverDeployment, GraphHandle
from mesh.errors import ConfigError, PayloadTooLarge
from mesh.handle import DeploymentHandle
from mesh.http import decode_request, encode_request
from mesh.http_adapters import json_request

Driver = DAGDriver.target


def request_for(method: str = "POST", path: str = "/", body: bytes = b"", query: bytes = b"") -> Request:
    scope = {"method": method, "path": path, "headers": [], "query_string": query}
    return decode_request(encode_request(scope, "", body, body_follows=False, max_body_bytes=1000))


class FakeResponse:
    """The response of a call in this process."""

    def __init__(self, output: Any) -> None:
        self.output = output
        self.is_cancelled = False

    async def value(self) -> Any:
        return await self.output

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeHandle:
    """A deployment in this process: its methods by name, and how often each handle was made."""

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self._methods = methods
        self.made: list[str] = []
        self.responses: list[FakeResponse] = []

    def options(self, *, method_name: str) -> FakeHandle:
        self.made.append(method_name)
        bound = FakeHandle(__call__=self._methods[method_name])
        bound.responses = self.responses
        return bound

    def remote(self, *args: Any, **kwargs: Any) -> FakeResponse:
        async def run() -> Any:
            given = [await asyncio.shield(v.output) if isinstance(v, FakeResponse) else v for v in args]
            return self._methods["__call__"](*given, **kwargs)

        response = FakeResponse(asyncio.ensure_future(run()))
        self.responses.append(response)
        return response

    def __call__(self, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        return self.remote(*args, **kwargs).value()


def handle_of(function: Callable[..., Any]) -> DeploymentHandle:
    return cast(DeploymentHandle, FakeHandle(__call__=function))


def step(deployment: str, method: str, argument: Slot) -> Step:
    return Step(deployment, method, (argument,))


PLAN = Plan(
    steps=(step("Model", "double", Slot(Column.INPUT, 0)), step("shout", "__call__", Slot(Column.STEP, 0))),
    inputs=((),),
)


def handles_of_plan() -> dict[str, Any]:
    return {"Model": FakeHandle(double=lambda x: 2 * x), "shout": FakeHandle(__call__=lambda x: f"{x}!")}


# The handle of a graph


async def test_a_graph_is_called_like_a_deployment() -> None:
    graph = GraphHandle(PLAN, handles_of_plan())
    assert await graph(4) == "8!"
    assert await graph.remote(5).value() == "10!"


async def test_the_handle_of_each_method_is_made_once() -> None:
    handles = handles_of_plan()
    graph = GraphHandle(PLAN, handles)
    for number in range(3):
        await graph(number)
    assert handles["Model"].made == ["double"]


async def test_a_graph_that_cannot_start_a_step_cancels_those_it_has_started() -> None:
    handles = {**handles_of_plan(), "shout": FakeHandle()}
    with pytest.raises(KeyError):
        GraphHandle(PLAN, handles).remote(1)
    assert handles["Model"].responses[0].is_cancelled


def test_a_graph_travels() -> None:
    handles = {name: DeploymentHandle("app", name) for name in PLAN.deployments}
    there = pickle.loads(pickle.dumps(GraphHandle(PLAN, handles)))
    assert repr(there) == "GraphHandle(Model, shout)"
    assert there._plan == PLAN
    assert there._handles["Model"].application_name == "app"


# The driver


async def answer_of_driver(driver: Any, request: Request) -> tuple[int, bytes]:
    response: Response = await driver(request)
    return response.status_code, bytes(response.body)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_without_an_adapter_the_graph_gets_the_request(method: str) -> None:
    driver = Driver(handle_of(lambda request: {"path": request["path"]}))
    assert await answer_of_driver(driver, request_for(method, "/sub/path")) == (200, b'{"path":"/sub/path"}')


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(method: str) -> None:
    response = await Driver(handle_of(lambda request: 1))(request_for(method, "/sub"))
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert response.body == f"/sub answers GET and POST, not {method}.\n".encode()


@pytest.mark.parametrize(
    ("output", "body"),
    [("foo", b'"foo"'), (None, b"null"), ([1], b"[1]")],
)
async def test_the_output_is_json(output: object, body: bytes) -> None:
    driver = Driver(handle_of(lambda request: output))
    response = await driver(request_for())
    assert (response.body, response.headers["content-type"]) == (body, "application/json")


async def test_an_output_that_is_a_response_is_the_answer() -> None:
    driver = Driver(handle_of(lambda request: PlainTextResponse("tea", 418)))
    assert await answer_of_driver(driver, request_for()) == (418, b"tea")


async def test_an_adapter_makes_the_input() -> None:
    driver = Driver(handle_of(lambda number: number + 1), http_adapter=json_request)
    assert await answer_of_driver(driver, request_for(body=b"41")) == (200, b"42")


async def test_an_adapter_need_not_be_a_coroutine() -> None:
    def adapter(request: Request) -> int:
        return int(request.query_params["x"])

    driver = Driver(handle_of(lambda number: number + 1), adapter)
    assert await answer_of_driver(driver, request_for(query=b"x=1")) == (200, b"2")
    assert await answer_of_driver(driver, request_for(query=b"x=a")) == (
        422,
        b"adapter cannot read the request: ValueError: invalid literal for int() with base 10: 'a'\n",
    )
    assert (await answer_of_driver(driver, request_for()))[0] == 422


async def test_a_body_that_is_no_json_is_a_bad_request() -> None:
    driver = Driver(handle_of(lambda number: number), json_request)
    status, body = await answer_of_driver(driver, request_for(body=b"{"))
    assert (status, body.startswith(b"the body of the request is no JSON")) == (400, True)


async def test_other_errors_of_an_adapter_are_errors() -> None:
    def too_large(request: Request) -> None:
        raise PayloadTooLarge("big")

    def broken(request: Request) -> None:
        raise ZeroDivisionError

    for adapter, error in ((too_large, PayloadTooLarge), (broken, ZeroDivisionError)):
        with pytest.raises(error):
            await Driver(handle_of(lambda number: number), adapter)(request_for())


async def test_bad_input_that_the_graph_finds_is_an_error_of_the_graph() -> None:
    def refuse(number: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Driver(handle_of(refuse), json_request)(request_for(body=b"1"))


@pytest.mark.feature("81")
async def test_predict_bypasses_the_adapter_and_passes_the_response_on_undecoded() -> None:
    driver = Driver(handle_of(lambda a, b: a + b), json_request)
    response = await driver.predict(1, b=2)
    assert isinstance(response, FakeResponse)
    assert await response.value() == 3


async def test_called_by_handle_without_a_request_it_names_predict() -> None:
    with pytest.raises(TypeError, match=r"handle\.predict\.remote\(\.\.\.\)"):
        await Driver(handle_of(lambda x: x))({"text": "no request"})


def driver_of_two() -> Any:
    return Driver({"/a": handle_of(lambda x: ["a", x]), "/a/b": handle_of(lambda x: ["b", x])}, json_request)


@pytest.mark.feature("80")
@pytest.mark.parametrize(
    ("path", "graph"), [("/a", "a"), ("/a/", "a"), ("/a/c", "a"), ("/a/bc", "a"), ("/a/b", "b"), ("/a/b/c", "b")]
)
async def test_the_longest_route_of_whole_segments_says_which_graph_runs(path: str, graph: str) -> None:
    status, body = await answer_of_driver(driver_of_two(), request_for(path=path, body=b"1"))
    assert (status, json.loads(body)) == (200, [graph, 1])


@pytest.mark.feature("80")
@pytest.mark.parametrize("path", ["/", "", "/b", "/ab"])
async def test_a_path_without_a_route_names_the_routes(path: str) -> None:
    status, body = await answer_of_driver(driver_of_two(), request_for(path=path, body=b"1"))
    assert (status, "the routes here are /a, /a/b." in body.decode()) == (404, True)


@pytest.mark.feature("80")
async def test_several_graphs_are_called_by_route() -> None:
    driver = driver_of_two()
    assert await (await driver.predict_with_route("/a", 1)).value() == ["a", 1]
    assert await (await driver.predict_with_route("/a/b", 1)).value() == ["b", 1]
    with pytest.raises(ValueError, match="the route '/b'; there are /a, /a/b"):
        await driver.predict_with_route("/b", 1)
    with pytest.raises(ValueError, match=r"call predict_with_route\.remote\(route, \.\.\.\), with one of /a, /a/b"):
        await driver.predict(1)
    assert await (await Driver(handle_of(lambda x: x)).predict_with_route("/", 1)).value() == 1


# Binding


@deployment
def shout(text: str) -> str:
    return f"{text}!"


@pytest.mark.feature("4")
def test_a_driver_is_an_ordinary_deployment() -> None:
    assert repr(DAGDriver) == "Deployment(name=DAGDriver,version=None,route_prefix=/DAGDriver)"
    assert [method.name for method in DAGDriver.methods] == ["__call__", "predict", "predict_with_route"]
    other = DAGDriver.options(name="Other", num_replicas=2)
    assert (type(other), other.num_replicas) == (DriverDeployment, 2)


@pytest.mark.feature("78")
def test_it_is_bound_to_one_node() -> None:
    with InputNode() as text:
        output = shout.bind(text)
    assert DAGDriver.bind(output)._args == (output,)
    node = DAGDriver.bind(output, http_adapter=json_request)
    assert dict(node._kwargs) == {"http_adapter": json_request}


@deployment
class Counting:
    def up(self, number: int) -> Iterator[int]:
        yield from range(number)

    def total(self, number: int) -> int:
        return number


@pytest.mark.feature("57")
def test_a_driver_of_a_stream_is_known_to_yield() -> None:
    node = Counting.bind()
    with InputNode() as number:
        up, total = node.up.bind(number), node.total.bind(number)
    assert yielding(DAGDriver.bind(up)) == {"predict", "predict_with_route"}
    assert yielding(DAGDriver.bind({"/a": up, "/b": up})) == {"predict_with_route"}
    assert yielding(DAGDriver.bind({"/a": up, "/b": total})) == set()
    assert yielding(DAGDriver.bind(total)) == yielding(DAGDriver.bind(node)) == set()


def yielding(node: Any) -> set[str]:
    return {method.name for method in node._deployment.methods if method.kind.yields}


@pytest.mark.parametrize(
    ("bind", "error", "message"),
    [
        pytest.param(lambda: DAGDriver.bind({}), ConfigError, "got none", id="no graph"),
        pytest.param(lambda: DAGDriver.bind({"a": shout.bind()}), ConfigError, "'a' cannot be", id="no slash"),
        pytest.param(lambda: DAGDriver.bind({"/a/": shout.bind()}), ConfigError, "'/a/' cannot be", id="a last slash"),
        pytest.param(
            lambda: DAGDriver.bind({1: shout.bind()}), ConfigError, "a path such as '/a', not 1", id="a number"
        ),
        pytest.param(lambda: DAGDriver.bind({"/a": shout}), ConfigError, "a dict of nodes by route", id="no node"),
        pytest.param(lambda: DAGDriver.bind(shout), ConfigError, "takes a node", id="a deployment"),
        pytest.param(lambda: DAGDriver.bind(), ConfigError, "takes a node", id="nothing"),
        pytest.param(
            lambda: DAGDriver.bind(shout.bind(), http_adapter=lambda request: 1),
            ConfigError,
            "has no annotation",
            id="an adapter without annotations",
        ),
        pytest.param(
            lambda: DAGDriver.options(name="x").bind(shout.bind(), "no_such.adapter"),
            ConfigError,
            "'no_such.adapter' cannot be imported",
            id="a name that leads nowhere",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    bind: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bind()


async def test_a_driver_of_a_whole_graph_answers() -> None:
    driver = Driver(GraphHandle(PLAN, handles_of_plan()), json_request)
    status, body = await answer_of_driver(driver, request_for(body=b"21"))
    assert (status, json.loads(body)) == (200, "42!")
