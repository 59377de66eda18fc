"""A policy in a replica: found by name or in a pickle, called with what it needs, and its mistakes told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from mesh.autoscaling import AutoscalingConfig, AutoscalingContext
from mesh.config import DeploymentConfig
from mesh.context import ReplicaContext
from mesh.loops import crossing_to
from mesh.v1 import controller_pb2 as pb
from sidecar.policy import Nonsense, ScalingPolicy, checked
from tests.services.journal import Journal, wait_for_file

QUESTION = pb.PolicyQuestion(number=5, num_replicas=2, running_replicas=1, ongoing_requests=12.5)


def runner(policy: str, blob: bytes = b"") -> tuple[ScalingPolicy, asyncio.Event]:
    scaling = AutoscalingConfig(min_replicas=1, max_replicas=9, target_ongoing_requests=3, policy=policy)
    replica, put = ReplicaContext("shop", "Model", "Model#1"), crossing_to(asyncio.get_running_loop()).put
    runs = ScalingPolicy(replica, DeploymentConfig(autoscaling_config=scaling), lambda sha256: blob, put)
    told = asyncio.Event()
    runs.tell = told.set
    return runs, told


async def asked(policy: str, blob: bytes = b"") -> pb.PolicyAnswer:
    runs, told = runner(policy, blob)
    runs.ask(QUESTION)
    async with asyncio.timeout(10):
        await told.wait()
    assert runs.answer is not None
    return runs.answer


async def pickled(policy: Callable[..., Any]) -> pb.PolicyAnswer:
    blob = cloudpickle.dumps(policy)
    return await asked(f"pickle:{hashlib.sha256(blob).hexdigest()}", blob)


async def test_a_policy_gets_everything_and_its_answer_is_told() -> None:
    seen = AutoscalingContext("shop", "Model", 2, 1, 12.5, 1, 9, 3)
    answer = await pickled(lambda context: 4 if context == seen else 0)
    assert (answer.number, answer.replicas, answer.failure) == (5, 4.0, "")


async def test_a_policy_is_found_by_its_name() -> None:
    assert (await asked("tests.services.scaling:raises")).failure.endswith("scaling:raises raised LookupError: no idea")
    assert "raised ModuleNotFoundError" in (await asked("no.such.module:policy")).failure


@pytest.mark.parametrize("returned", ["many", None, True, float("nan"), float("inf"), -1, [3]], ids=repr)
def test_nonsense_is_no_number_of_replicas(returned: object) -> None:
    with pytest.raises(Nonsense, match="which is no number"):
        checked(returned)


async def test_a_policy_that_leaves_the_process_does_not() -> None:
    assert "raised SystemExit" in (await pickled(lambda _: exit(3))).failure


async def test_while_a_policy_thinks_it_is_not_asked_again(tmp_path: Path) -> None:
    journal, gate = Journal(tmp_path / "journal"), tmp_path / "gate"

    def slow(context: AutoscalingContext) -> int:
        journal.write("asked", context.num_replicas)
        wait_for_file(gate)
        return 1

    runs, told = runner("pickle:abc", cloudpickle.dumps(slow))
    runs.ask(QUESTION)
    runs.ask(pb.PolicyQuestion(number=6, num_replicas=3))
    gate.touch()
    async with asyncio.timeout(10):
        await told.wait()
    assert journal.keys("asked") == ["2"]


async def test_a_policy_may_remember() -> None:
    def counting() -> Callable[[AutoscalingContext], int]:
        calls: list[AutoscalingContext] = []

        def count(context: AutoscalingContext) -> int:
            calls.append(context)
            return len(calls)

        return count

    runs, told = runner("pickle:abc", cloudpickle.dumps(counting()))
    for number in (1, 2):
        told.clear()
        runs.ask(pb.PolicyQuestion(number=number))
        async with asyncio.timeout(10):
            await told.wait()
        assert runs.answer is not None
        assert (runs.answer.number, runs.answer.replicas) == (number, number)
