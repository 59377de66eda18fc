"""ASGI applications as deployments: FastAPI with methods as routes, and any other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import mesh
from mesh.errors import ConfigError, DeployFailed, PayloadError
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import RunningMesh
from tests.services import applications as services

pytestmark = pytest.mark.feature("42")


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deployed(own_mesh: RunningMesh) -> RunningMesh:
    nodes = {
        "shop": services.Shop.bind(10),
        "other": services.Other.bind(),
        "path": services.ByPath.bind(),
        "factory": services.ByFactory.bind(),
        "constructor": services.ByConstructor.bind("made"),
        "bare": services.Bare.bind(),
    }
    for name, node in nodes.items():
        mesh.run(node, name=name, route_prefix=f"/{name}")
    return own_mesh


@pytest.fixture(scope="module")
def client(deployed: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=deployed.url, timeout=LIMIT_S) as client:
        yield client


def test_methods_are_routes_with_self(client: httpx.Client) -> None:
    assert client.get("/shop/times/4", params={"more": 2}).json() == 42
    assert client.get("/shop/blocking/4").json() == 40
    assert client.get("/shop/v1/included").json() == [10]


def test_bad_input_is_422_and_names_the_field(client: httpx.Client) -> None:
    answer = client.get("/shop/times/four")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["path", "number"]


def test_models_dependencies_and_status(client: httpx.Client) -> None:
    answer = client.post("/shop/items", json={"name": "tea", "price": 2.5})
    assert (answer.status_code, answer.json()) == (201, {"name": "tea"})
    assert client.get("/shop/depends", params={"number": 4}).json() == 18
    missing = client.get("/shop/missing")
    assert (missing.status_code, missing.json()) == (404, {"detail": "not in the shop"})


def test_middleware_lifespan_and_paths(client: httpx.Client) -> None:
    answer = client.get("/shop/plain")
    assert answer.headers["x-marked"] == "yes"
    assert answer.json() == {"path": "/shop/plain", "root_path": "/shop", "starts": 1, "state": "yielded"}


def test_documentation_knows_its_prefix_and_its_own_routes_only(client: httpx.Client) -> None:
    schema = client.get("/shop/openapi.json").json()
    assert schema["servers"] == [{"url": "/shop"}]
    assert {"/times/{number}", "/v1/included", "/plain"} <= set(schema["paths"])
    assert "/other" not in schema["paths"]
    assert [parameter["name"] for parameter in schema["paths"]["/times/{number}"]["get"]["parameters"]] == [
        "number",
        "more",
    ]
    assert "/shop/openapi.json" in client.get("/shop/docs").text


def test_mounted_application(client: httpx.Client) -> None:
    assert client.get("/shop/mounted/").text == "mounted"


def test_one_application_in_two_deployments(client: httpx.Client) -> None:
    assert client.get("/other/other").json() == "other"
    assert client.get("/other/plain").json()["root_path"] == "/other"
    assert client.get("/other/times/4").status_code == 404
    assert client.get("/shop/other").status_code == 404


def test_error_of_a_route_is_500_and_the_next_request_is_answered(client: httpx.Client) -> None:
    assert client.get("/shop/fails").status_code == 500
    assert client.get("/shop/times/1").json() == 10


@pytest.mark.feature("44h")
def test_streams_and_uploads(client: httpx.Client) -> None:
    answer = client.get("/shop/stream")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text == "data: 0\n\ndata: 10\n\ndata: 20\n\n"
    assert client.post("/shop/upload", files={"file": bytes(3_000_000)}).json() == 3_000_000


@pytest.mark.feature("44h")
def test_websocket_routes(deployed: RunningMesh) -> None:
    at = deployed.url.replace("http", "ws", 1)
    with connect(f"{at}/shop/socket") as socket:
        socket.send("hello")
        assert socket.recv(timeout=LIMIT_S) == "hello 10 /shop/socket"
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=LIMIT_S)
        assert socket.close_code == 4000


def test_handle_calls_its_methods(deployed: RunningMesh) -> None:
    assert mesh.DeploymentHandle("shop", "Shop").factor.remote().result() == 10


def test_application_by_path_by_factory_and_by_constructor(client: httpx.Client) -> None:
    assert client.get("/path/plain").json()["starts"] == 1
    assert client.get("/factory/deep/path").json()["path"] == "/factory/deep/path"
    assert client.get("/constructor/").json() == "made"


def test_plain_asgi(client: httpx.Client) -> None:
    answer = client.post("/bare", content=bytes(1_000_000))
    assert (answer.text, answer.headers["x-length"]) == ("bare", "1000000")


def test_application_that_only_exists_here_is_sent_along(client: httpx.Client) -> None:
    app, router = FastAPI(), APIRouter()

    @mesh.deployment
    @mesh.ingress(app)
    class Local:
        """In a function, so that no replica can import it."""

        @router.get("/here")
        async def here(self) -> str:
            return type(self).__name__

    app.include_router(router, prefix="/in")
    mesh.run(Local.bind(), name="local", route_prefix="/local")
    assert client.get("/local/in/here").json() == "Local"


def test_application_that_cannot_be_sent_says_which_attribute_and_the_ways_out(own_mesh: RunningMesh) -> None:
    app = FastAPI()
    with sqlite3.connect(":memory:") as database:
        app.state.database = database

        @mesh.deployment
        @mesh.ingress(app)
        class Local: ...

        with pytest.raises(PayloadError) as refused:
            mesh.run(Local.bind(), name="unsendable", route_prefix=None)
    database.close()
    for words in ("app.state.database", "sqlite3.Connection", '"module:app"', "lambda self: self.app"):
        assert words in str(refused.value)


def test_lifespan_that_fails_fails_the_deployment(own_mesh: RunningMesh) -> None:
    with pytest.raises(DeployFailed, match="the lifespan finds nothing"):
        mesh.run(services.NeverStarts.bind(), name="never", route_prefix=None)


@pytest.mark.parametrize(
    ("application", "message"),
    [pytest.param(5, "takes an ASGI application", id="no application"),
     pytest.param("module", "takes an ASGI application", id="no import path")],
)  # fmt: skip
def test_what_is_no_application_is_refused(application: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mesh.ingress(application)  # type: ignore[arg-type]


def test_class_with_a_call_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="has a __call__"):

        @mesh.ingress(services.bare)
        class Callable:
            def __call__(self) -> None: ...
