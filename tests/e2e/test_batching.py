"""Batches in a replica, asked by handle and over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

import mesh
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.features import Batching, tripled


@pytest.fixture
def handle(run: Run) -> mesh.DeploymentHandle:
    return run(Batching.bind(), route_prefix="/batch")


async def _read(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


@pytest.mark.feature("1")
@pytest.mark.parametrize("method", ["on_loop", "on_turn", "through"])
async def test_calls_that_come_together_share_batches(handle: mesh.DeploymentHandle, method: str) -> None:
    results = await asyncio.gather(*(getattr(handle, method)(number) for number in range(8)))
    assert results == [(number, 4) for number in range(8)]


@pytest.mark.parametrize("method", ["yields", "yields_on_loop"])
async def test_each_caller_of_a_generator_gets_its_own_stream(handle: mesh.DeploymentHandle, method: str) -> None:
    streams = await asyncio.gather(*(_read(getattr(handle, method)(number)) for number in (3, 1, 2)))
    assert streams == [[(step, 3) for step in range(number)] for number in (3, 1, 2)]


async def test_a_function_that_is_a_deployment_is_batched(run: Run) -> None:
    handle = await asyncio.to_thread(run, tripled.bind())
    assert await asyncio.gather(*(handle(number) for number in range(4))) == [(3 * n, 4) for n in range(4)]


async def test_a_wrong_number_of_results_and_an_exception_reach_every_caller(handle: mesh.DeploymentHandle) -> None:
    wrong = await asyncio.gather(*(handle.loses_one(number) for number in range(3)), return_exceptions=True)
    assert [(type(error), "has to return 3 results" in str(error)) for error in wrong] == [(ValueError, True)] * 3
    failed = await asyncio.gather(*(handle.fails(number) for number in range(3)), return_exceptions=True)
    assert [(type(error), str(error)) for error in failed] == [(LookupError, "none of [0, 1, 2]")] * 3


async def test_deadline_and_cancellation_hold_while_a_batch_gathers(handle: mesh.DeploymentHandle) -> None:
    for method in (handle.waits, handle.waits_through):
        late, gone = method.options(timeout_s=0.2)(1), method(2)
        with pytest.raises(mesh.DeadlineExceeded):
            await late
        gone.cancel()
    await handle.set_waits(0.0, 4)
    assert await handle.waits(3) == 3


async def test_settings_change_while_it_serves(handle: mesh.DeploymentHandle) -> None:
    await handle.set_waits(60.0, 2)
    assert await asyncio.gather(*(handle.waits(number) for number in range(4))) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="max_batch_size must be"):
        await handle.set_waits(60.0, 0)


def test_http_requests_share_batches(handle: mesh.DeploymentHandle, own_mesh: RunningMesh) -> None:
    def ask(word: str) -> Any:
        return json.load(urlopen(f"{own_mesh.url}/batch?say={quote(word)}", timeout=30))

    words = ["ah", "oh", "uh", "eh"]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, words)) == [{"say": word, "size": 4} for word in words]
