"""The door as a client meets it: generated code, a channel that stays good, deployments in their own processes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import mesh
from mesh.dag import InputNode
from mesh.drivers import DAGDriver
from mesh.v1.predict_pb2 import PredictRequest, PredictStreamRequest
from mesh.v1.predict_pb2_grpc import PredictServiceStub
from tests.e2e.commands import LIMIT_S, run_python, wait_until
from tests.e2e.running_mesh import RunningMesh, kill
from tests.services import door as services
from tests.services.handles import Gate

BYTES = "application/octet-stream"


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deployed(own_mesh: RunningMesh) -> RunningMesh:
    """Everything that these tests call, each under the name of its application."""

    def gate() -> Any:
        return Gate.options(max_ongoing_requests=100).bind()

    with InputNode() as name:
        graph = DAGDriver.bind(services.greet.bind(name))
    mesh.run(services.Clerk.bind(gate(), services.greet.bind()), route_prefix=None)
    mesh.run(services.Narrow.bind(gate()), name="narrow", route_prefix=None)
    mesh.run(services.greet.bind(), name="function", route_prefix=None)
    mesh.run(graph, name="graph", route_prefix=None)
    return own_mesh


@pytest.fixture(scope="module")
def address(deployed: RunningMesh) -> str:
    return mesh.status().grpc_address


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    """One connection for all tests of the module: whatever happens on it, it stays good."""
    with grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture(scope="module")
def door(channel: grpc.Channel) -> PredictServiceStub:
    return PredictServiceStub(channel)


@pytest.fixture
async def async_door(address: str) -> AsyncIterator[PredictServiceStub]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield PredictServiceStub(channel)


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a gate that no other test uses."""
    return str(request.node.name)


def _gate(application: str = "default") -> mesh.DeploymentHandle:
    return mesh.DeploymentHandle(application, "Gate")


def _ask(door: PredictServiceStub, method: str, body: bytes = b"", **fields: Any) -> Any:
    answer = door.Predict(PredictRequest(method=method, body=body, **fields), timeout=LIMIT_S)
    return json.loads(answer.body) if answer.content_type == "application/json" else answer.body


def _refused(call: Callable[[], object]) -> tuple[grpc.RpcError, dict[str, Any]]:
    """The error of a call, and the details of its status by their names."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value, _details(raised.value)


def _details(error: Any) -> dict[str, Any]:
    wire = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(wire)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    found: dict[str, Message] = {}
    for packed in status.details:
        name = packed.TypeName().removeprefix("google.rpc.")
        found[name] = getattr(error_details_pb2, name)()
        assert packed.Unpack(found[name])
    return found


# --- what is called, with what


@pytest.mark.parametrize("method", ["kind", "kind_on_turn"])
@pytest.mark.parametrize(
    ("body", "content_type", "came"),
    [
        pytest.param(b'{"a": [1]}', "", "dict {'a': [1]}", id="object"),
        pytest.param(b"[1, 2]", "", "list [1, 2]", id="array is one argument"),
        pytest.param(b'"x"', "application/json", "str 'x'", id="text"),
        pytest.param(b" 1 ", "Application/JSON; charset=utf-8", "int 1", id="parameters of the type do not matter"),
        pytest.param(b"false", "", "bool False", id="false is an argument"),
        pytest.param(b"", "", "str 'nothing'", id="empty is none"),
        pytest.param(b"null", "", "str 'nothing'", id="null is none"),
        pytest.param(b"{", "text/plain", "bytes b'{'", id="bytes"),
        pytest.param(b"", BYTES, "bytes b''", id="no bytes are bytes"),
    ],
)
def test_body_is_the_one_argument(
    door: PredictServiceStub, method: str, body: bytes, content_type: str, came: str
) -> None:
    assert _ask(door, method, body, content_type=content_type) == came


def test_bytes_stay_bytes_and_everything_else_is_json(door: PredictServiceStub) -> None:
    assert _ask(door, "reversed", b"\x00\xff", content_type=BYTES) == b"\xff\x00"
    assert _ask(door, "values") == {"array": [0, 1], "point": {"x": 1}, "nan": None, "ref": "hello Ada"}
    assert _ask(door, "passed_on") == "hello Ada"


def test_empty_names_are_the_driver_and_its_predict_or_call(door: PredictServiceStub) -> None:
    assert _ask(door, "", application="function") == "hello stranger"
    assert _ask(door, "", b'"Ada"', application="function") == "hello Ada"
    assert _ask(door, "", b'"Ada"', application="graph") == "hello Ada"
    assert _ask(door, "", b'"Ada"', application="graph", deployment="greet") == "hello Ada"


def test_application_that_was_just_run_is_known_and_one_that_was_deleted_is_not(door: PredictServiceStub) -> None:
    for number in range(3):
        mesh.run(services.greet.bind(), name=f"new{number}", route_prefix=None)
        assert _ask(door, "", application=f"new{number}") == "hello stranger"
        mesh.delete(f"new{number}")
        error, _ = _refused(lambda name=f"new{number}": _ask(door, "", application=name))
        assert error.code() is grpc.StatusCode.NOT_FOUND


# --- streams


def test_items_of_a_generator_come_one_by_one(door: PredictServiceStub) -> None:
    on_loop = door.PredictStream(PredictStreamRequest(method="count", body=b"3"), timeout=LIMIT_S)
    assert [(item.content_type, item.body) for item in on_loop] == [
        ("application/json", b'{"n":%d}' % n) for n in range(3)
    ]
    on_turn = door.PredictStream(PredictStreamRequest(method="count_on_turn", body=b"3"), timeout=LIMIT_S)
    assert [(item.content_type, item.body) for item in on_turn] == [(BYTES, bytes(n)) for n in range(3)]
    empty = door.PredictStream(PredictStreamRequest(method="count", body=b"0"), timeout=LIMIT_S)
    assert list(empty) == []


def test_method_that_returns_is_a_stream_of_one(door: PredictServiceStub) -> None:
    (item,) = door.PredictStream(PredictStreamRequest(method="kind", body=b"1"), timeout=LIMIT_S)
    assert item.body == b'"int 1"'


def test_method_that_yields_is_refused_by_predict_and_cancelled(door: PredictServiceStub, key: str) -> None:
    error, details = _refused(lambda: _ask(door, "endless", json.dumps(key).encode()))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "call PredictStream" in error.details()
    assert details["BadRequest"].field_violations[0].field == "method"
    mesh.DeploymentHandle("default", "Clerk").ended.remote(key).result(LIMIT_S)


@pytest.mark.parametrize("number", [0, 1, 600])
@pytest.mark.parametrize("method", ["breaks", "breaks_on_turn"])
def test_stream_that_breaks_half_way_has_its_items_and_its_error(
    door: PredictServiceStub, method: str, number: int
) -> None:
    items = door.PredictStream(PredictStreamRequest(method=method, body=b"%d" % number), timeout=LIMIT_S)
    assert [next(items).body for _ in range(number)] == [b"%d" % n for n in range(number)]
    error, details = _refused(lambda: next(items))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "LookupError: no more cats")
    assert details["ErrorInfo"].metadata["type"] == "LookupError"
    assert method in details["DebugInfo"].detail


def test_stream_whose_next_item_is_too_late_has_its_items_and_its_error(door: PredictServiceStub, key: str) -> None:
    items = door.PredictStream(PredictStreamRequest(method="waits", body=json.dumps(key).encode()), timeout=2)
    assert next(items).body == b'"first"'
    with pytest.raises(grpc.RpcError) as raised:
        next(items)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    _gate().cancelled.remote(key).result(LIMIT_S)


def test_stream_of_a_replica_that_dies_has_its_items_and_is_unavailable(door: PredictServiceStub) -> None:
    mesh.run(services.Mortal.bind(), name="mortal", route_prefix=None)
    request = PredictStreamRequest(application="mortal", method="dies", body=b"3")
    items = door.PredictStream(request, timeout=LIMIT_S)
    assert [next(items).body for _ in range(3)] == [b"0", b"1", b"2"]
    error, details = _refused(lambda: next(items))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "while it worked on Mortal.dies" in error.details()
    assert details["ErrorInfo"].reason
    mesh.delete("mortal")


async def test_item_arrives_before_the_next_is_made(async_door: PredictServiceStub, key: str) -> None:
    items = async_door.PredictStream(PredictStreamRequest(method="waits", body=json.dumps(key).encode()))
    assert (await items.read()).body == b'"first"'
    await _gate().begun(key)
    await _gate().open(key)
    assert (await items.read()).body == json.dumps(key).encode()
    assert await items.read() is grpc.aio.EOF


async def test_client_that_leaves_a_stream_ends_it_and_a_slow_one_holds_up_nobody(
    async_door: PredictServiceStub, key: str
) -> None:
    items = async_door.PredictStream(PredictStreamRequest(method="endless", body=json.dumps(key).encode()))
    for _ in range(20):
        assert len((await items.read()).body) == 100_000
    assert (await async_door.Predict(PredictRequest(method="kind", body=b"1"))).body == b'"int 1"'
    items.cancel()
    await mesh.DeploymentHandle("default", "Clerk").ended(key)


# --- deadlines and cancellation


def test_deadline_of_the_client_is_known_to_the_code_that_runs(door: PredictServiceStub) -> None:
    answer = door.Predict(PredictRequest(method="seconds_left"), timeout=5)
    assert 0 < json.loads(answer.body) < 5.1


def test_deadline_of_the_client_ends_the_work_below(door: PredictServiceStub, key: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        door.Predict(PredictRequest(application="narrow", method="wait", body=json.dumps(key).encode()), timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    _gate("narrow").cancelled.remote(key).result(LIMIT_S)


async def test_client_that_leaves_cancels_the_work_below(async_door: PredictServiceStub, key: str) -> None:
    for number in range(3):
        body = json.dumps(f"{key}{number}").encode()
        asking = async_door.Predict(PredictRequest(application="narrow", method="wait", body=body))
        await _gate("narrow").begun(f"{key}{number}")
        asking.cancel()
        await _gate("narrow").cancelled(f"{key}{number}")


def test_timeout_of_the_deployment_holds_for_a_client_without_a_deadline(door: PredictServiceStub, key: str) -> None:
    mesh.run(Gate.options(request_timeout_s=0.2).bind(), name="hasty", route_prefix=None)
    try:
        error, details = _refused(
            lambda: door.Predict(PredictRequest(application="hasty", method="wait", body=json.dumps(key).encode()))
        )
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        # Both the door and the replica watch it, and either may be the first.
        assert re.search("did not end in time|the deadline passed", error.details() or "")
        assert details["ErrorInfo"].reason == "DEADLINE_EXCEEDED"
    finally:
        mesh.delete("hasty")


async def test_overload_is_resource_exhausted_with_advice_when_to_retry(
    async_door: PredictServiceStub, key: str
) -> None:
    request = PredictRequest(application="narrow", method="wait", body=json.dumps(key).encode())
    asking = [asyncio.ensure_future(_awaited(async_door.Predict(request))) for _ in range(5)]
    rejected: set[Any] = set()
    waiting: set[Any] = set(asking)
    while len(rejected) < 3:
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        rejected |= more
    for one in rejected:
        error: Any = one.exception()
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert _details(error)["RetryInfo"].retry_delay.seconds == 1
        assert "max_queued_requests=1" in error.details()
    await _gate("narrow").open(key)
    assert [json.loads((await one).body) for one in waiting] == [key, key]


async def _awaited(call: Any) -> Any:
    return await call


# --- bad input


def test_unknown_names_are_refused_with_those_that_exist(door: PredictServiceStub) -> None:
    error, details = _refused(lambda: _ask(door, "kind", application="nope"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "there is no application 'nope'; there are: 'default', 'function', 'graph', 'narrow'"
    assert (details["ErrorInfo"].domain, details["ErrorInfo"].reason) == ("mesh", "DEPLOYMENT_NOT_FOUND")
    error, _ = _refused(lambda: _ask(door, "kind", deployment="Klerk"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "application 'default' has no deployment 'Klerk', it has 'Clerk', 'Gate', 'greet'"
    error, details = _refused(lambda: _ask(door, "kinds"))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "Clerk has no method 'kinds', it has " in error.details()
    assert "did you mean 'kind'?" in error.details()
    assert details["ErrorInfo"].reason == "METHOD_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "body", "says"),
    [
        pytest.param("kind", b"{", "the body is no JSON", id="no JSON"),
        pytest.param("kind", b"\xff", "the body is no JSON", id="no UTF-8"),
        pytest.param("kind", b"[" * 100_000, "the body is no JSON", id="too deep"),
        pytest.param("kind", b"NaN", "NaN is no value of JSON", id="NaN"),
        pytest.param("size", b"", "missing a required argument: 'body'", id="an argument is missing"),
        pytest.param("fails", b"1", "too many positional arguments", id="takes none"),
        pytest.param("sum_of_two", b"[1, 2]", r"(left: 'int', right: 'int')", id="takes two"),
    ],
)
def test_argument_that_cannot_be_one_is_invalid(door: PredictServiceStub, method: str, body: bytes, says: str) -> None:
    error, details = _refused(lambda: _ask(door, method, body))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert says in error.details()
    assert details["BadRequest"].field_violations[0].field == "body"
    assert _ask(door, "kind", b"1") == "int 1", "the connection is still good"


@pytest.mark.parametrize("rpc", ["Predict", "PredictStream"])
def test_malformed_message_is_invalid(channel: grpc.Channel, door: PredictServiceStub, rpc: str) -> None:
    call = channel.unary_unary if rpc == "Predict" else channel.unary_stream
    answer = call(f"/mesh.v1.PredictService/{rpc}")
    error, details = _refused(lambda: list(answer(b"\x0a\xff\xff", timeout=LIMIT_S)))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert f"mesh.v1.{rpc}Request" in error.details()
    assert "BadRequest" in details
    assert _ask(door, "kind", b"1") == "int 1"


def test_body_over_the_limit_of_the_deployment_is_refused(door: PredictServiceStub) -> None:
    assert _ask(door, "size", bytes(1_000_000), content_type=BYTES) == 1_000_000
    error, details = _refused(lambda: _ask(door, "size", bytes(1_000_001), content_type=BYTES))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1000000 (max_body_bytes)" in error.details()
    assert "RetryInfo" not in details, "the same again would be as large"


def test_message_over_the_limit_of_the_door_leaves_the_connection_good(door: PredictServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _ask(door, "size", bytes(130 * 1024 * 1024), content_type=BYTES)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in raised.value.details()
    assert _ask(door, "kind", b"1") == "int 1"


def test_error_of_the_users_code_is_unknown_with_its_type_and_traceback(door: PredictServiceStub) -> None:
    error, details = _refused(lambda: _ask(door, "fails"))
    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, "LookupError: no such cat")
    assert details["ErrorInfo"].reason == "USER_CODE_ERROR"
    assert details["ErrorInfo"].metadata["type"] == "LookupError"
    assert "in fails" in details["DebugInfo"].detail


def test_long_error_arrives_shortened(door: PredictServiceStub) -> None:
    error, _ = _refused(lambda: _ask(door, "fails_at_length"))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details().startswith("ValueError: \N{CAT FACE}")


@pytest.mark.parametrize(("method", "says"), [("lock", "cannot be turned into JSON"), ("response", "only HTTP")])
def test_answer_without_a_form_is_the_fault_of_the_deployment(door: PredictServiceStub, method: str, says: str) -> None:
    error, _ = _refused(lambda: _ask(door, method))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert says in error.details()


# --- health, reflection, the process


def test_health_follows_each_application(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)

    def status(service: str) -> str:
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=LIMIT_S)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    for service in ("", "default", "function", "graph", "mesh.v1.PredictService"):
        assert status(service) == "SERVING"
    with pytest.raises(grpc.RpcError) as raised:
        status("nope")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    mesh.run(services.greet.bind(), name="short", route_prefix=None)
    assert status("short") == "SERVING"
    mesh.delete("short")
    wait_until(lambda: status("short") == "SERVICE_UNKNOWN")


def test_reflection_tells_what_the_door_has(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {"mesh.v1.PredictService", "grpc.health.v1.Health"} <= set(database.get_services())
    file = database.FindFileContainingSymbol("mesh.v1.PredictService")
    assert [method.name for method in file.service[0].method] == ["Predict", "PredictStream"]


def test_port_of_the_door_is_its_own(address: str) -> None:
    host, _, port = address.rpartition(":")
    for reuse in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, reuse, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((host, int(port)))


def test_second_mesh_at_the_port_is_refused_and_named(address: str) -> None:
    port = address.rpartition(":")[2]
    ended = run_python(
        "-c",
        f"import mesh\nmesh.start(http_options=mesh.HTTPOptions(port=0), grpc_options=mesh.GRPCOptions(port={port}))",
    )
    assert ended.code == 1
    assert f"port {port} is busy: another mesh listens there" in ended.stderr
    assert "choose another port for gRPC, or none" in ended.stderr


def test_mesh_without_a_door_says_so() -> None:
    ended = run_python(
        "-c",
        "import mesh\n"
        "mesh.start(http_options=mesh.HTTPOptions(port=0), grpc_options=mesh.GRPCOptions(port=None))\n"
        "print(repr(mesh.status().grpc_address))",
    )
    assert (ended.code, ended.stdout) == (0, "''\n"), ended.stderr


def test_door_that_is_killed_is_back_at_its_port(
    own_mesh: RunningMesh, door: PredictServiceStub, channel: grpc.Channel
) -> None:
    before = own_mesh.processes()["door"]
    kill(before)
    own_mesh.wait_for_another("door", than=before)
    request = PredictRequest(application="function")
    assert door.Predict(request, timeout=LIMIT_S, wait_for_ready=True).body == b'"hello stranger"'
