"""Models over several replicas: where requests go, by handle, over HTTP and through the gRPC door."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.request import Request, urlopen

import grpc
import pytest

import mesh
from mesh.v1.predict_pb2 import PredictRequest, PredictResponse
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.features import Front, Zoo


@pytest.fixture
def zoo(run: Run) -> mesh.DeploymentHandle:
    return run(Zoo.bind(), route_prefix="/zoo")


def _ask(zoo: mesh.DeploymentHandle, model_id: str) -> str:
    return str(zoo.options(multiplexed_model_id=model_id).remote().result(timeout_s=30))


@pytest.mark.feature("45")
def test_requests_for_a_model_go_where_it_is(zoo: mesh.DeploymentHandle) -> None:
    first = {model_id: _ask(zoo, model_id) for model_id in "abc"}
    assert [answer[0] for answer in first.values()] == ["A", "B", "C"]
    for _ in range(3):
        assert {model_id: _ask(zoo, model_id) for model_id in "abc"} == first


async def test_a_hot_model_spreads(zoo: mesh.DeploymentHandle, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    hot = zoo.options(multiplexed_model_id="hot")
    calls = [asyncio.ensure_future(hot.wait(str(gate))) for _ in range(60)]
    gate.touch()
    answers = await asyncio.gather(*calls)
    assert {rank for rank, _ in answers} == {0, 1, 2}
    assert all(loads.count("hot") == 1 for _, loads in answers)


def test_the_model_travels_with_the_request(run: Run) -> None:
    front = run(Front.bind(Zoo.bind()))
    answer = front.options(multiplexed_model_id="deep").ask.remote().result(timeout_s=30)
    assert answer.startswith("DEEP ")


@pytest.mark.parametrize("header", ["mesh-multiplexed-model-id", "serve_multiplexed_model_id"])
def test_http_names_the_model_in_a_header(zoo: mesh.DeploymentHandle, own_mesh: RunningMesh, header: str) -> None:
    by_handle = _ask(zoo, "web")
    answer = urlopen(Request(f"{own_mesh.url}/zoo", headers={header: "web"}), timeout=30).read().decode()
    assert answer == by_handle


def test_the_door_takes_the_model_from_metadata(zoo: mesh.DeploymentHandle) -> None:
    with grpc.insecure_channel(mesh.status().grpc_address) as channel:
        predict = channel.unary_unary(
            "/mesh.v1.PredictService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )
        metadata = (("mesh-multiplexed-model-id", "grpc"),)
        answer = predict(PredictRequest(application="default"), metadata=metadata, timeout=30)
    assert answer.body.startswith(b'"GRPC ')


def test_a_request_that_names_no_model_or_one_that_does_not_load_fails_clearly(zoo: mesh.DeploymentHandle) -> None:
    with pytest.raises(ValueError, match="multiplexed_model_id"):
        zoo.remote().result(timeout_s=30)
    with pytest.raises(LookupError, match="there is no broken model"):
        _ask(zoo, "broken")
    with pytest.raises(mesh.ConfigError, match="multiplexed_model_id must be a string"):
        zoo.options(multiplexed_model_id=5)  # type: ignore[arg-type]
