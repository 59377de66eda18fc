"""A policy in a replica: found by name or in a pickle, called with what it needs, and its mistakes told."""

from __future__ import annotations

import asyncio
import hashlib
import threading
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


async def test_another_policy_is_asked_while_one_hangs_and_its_late_answer_is_ignored(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def hangs(_: AutoscalingContext) -> int:
        wait_for_file(gate)
        return 7

    blobs = {"hangs": cloudpickle.dumps(hangs), "other": cloudpickle.dumps(lambda _: 2)}
    posted: asyncio.Queue[pb.PolicyAnswer] = asyncio.Queue()
    put = crossing_to(asyncio.get_running_loop()).put

    def post(function: Callable[[pb.PolicyAnswer], object], answer: pb.PolicyAnswer) -> None:
        put(function, answer)
        put(posted.put_nowait, answer)

    runs = ScalingPolicy(ReplicaContext("shop", "Model", "Model#1"), DeploymentConfig(), lambda name: blobs[name], post)
    async with asyncio.timeout(10):
        for number, policy in enumerate(blobs, start=1):
            scaling = AutoscalingConfig(min_replicas=1, max_replicas=9, policy=f"pickle:{policy}")
            runs.config = DeploymentConfig(autoscaling_config=scaling)
            runs.ask(pb.PolicyQuestion(number=number))
        assert (await posted.get()).replicas == 2
        gate.touch()
        assert (await posted.get()).replicas == 7
    assert runs.answer is not None
    assert (runs.answer.number, runs.answer.replicas) == (2, 2)


async def test_a_policy_for_which_there_is_no_thread_is_told_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    runs, told = runner("pickle:abc", cloudpickle.dumps(lambda _: 2))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        runs.ask(QUESTION)
    assert runs.answer is not None
    assert runs.answer.failure == "policy pickle:abc cannot be asked: can't start new thread"
    told.clear()
    runs.ask(pb.PolicyQuestion(number=6))
    async with asyncio.timeout(10):
        await told.wait()
    assert runs.answer.replicas == 2
