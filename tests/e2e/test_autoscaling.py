"""Deployments that autoscale: none until somebody asks, as many as it takes, none again; and no request is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

import mesh
from mesh import deploying, meshes
from mesh.application_status import DeploymentStatus
from mesh.cli.status import sizes
from mesh.errors import ConfigError, DeadlineExceeded
from tests.e2e.commands import LIMIT_S, wait_until
from tests.e2e.load import Load
from tests.e2e.running_mesh import Run, RunningMesh, kill
from tests.e2e.sizes import Sizes
from tests.services import scaling
from tests.services.scaling import QUICK, Elastic, Front

FOR_EVER_S = 3600.0


def elastic() -> DeploymentStatus:
    """Its status now."""
    applications = mesh.status().applications
    return next(one for application in applications for one in application.deployments if one.name == "Elastic")


def is_at(size: int) -> bool:
    """It has that size, and as many replicas run."""
    now = elastic()
    return now.num_replicas == size and [one.state for one in now.replicas] == ["RUNNING"] * size


def options(**changes: Any) -> dict[str, Any]:
    return {"autoscaling_config": {**QUICK, **changes}}


def test_what_has_no_replica_runs_and_the_first_request_starts_one_at_once(own_mesh: RunningMesh, run: Run) -> None:
    # No report is due before an hour has passed: only the request itself can have started the replica.
    run(Elastic.options(**options(metrics_interval_s=FOR_EVER_S)).bind(), route_prefix="/elastic")
    assert (mesh.status().applications[0].phase.name, elastic().num_replicas, own_mesh.replicas()) == ("RUNNING", 0, {})
    begun_s = monotonic()
    answer = httpx.get(f"{own_mesh.url}/elastic", timeout=LIMIT_S)
    assert (answer.status_code, monotonic() - begun_s < FOR_EVER_S) == (200, True)
    assert {int(answer.text)} == set(own_mesh.replicas().values())
    assert elastic().scaling == "0 -> 1: 1 waiting for a first replica"
    assert sizes(mesh.status())[1].endswith("ago: 0 -> 1: 1 waiting for a first replica")


def test_a_replica_of_another_deployment_starts_it_too(own_mesh: RunningMesh, run: Run) -> None:
    front = run(Front.bind(Elastic.bind()))
    assert own_mesh.replicas("Elastic") == {}
    assert front.work.remote().result(LIMIT_S) > 0
    wait_until(lambda: is_at(0))
    assert front.work.remote().result(LIMIT_S) > 0


def test_the_first_request_waits_no_longer_than_its_deadline(own_mesh: RunningMesh, run: Run, tmp_path: Path) -> None:
    handle = run(Elastic.bind(tmp_path / "gate"))
    with pytest.raises(DeadlineExceeded, match="waiting for a replica, there was none"):
        handle.options(timeout_s=0.3).work.remote().result(LIMIT_S)
    waiting = handle.work.remote()
    (tmp_path / "gate").touch()
    assert waiting.result(LIMIT_S) in own_mesh.replicas().values()


async def test_a_load_step_costs_no_request_and_turns_once(own_mesh: RunningMesh, run: Run) -> None:
    handle = await asyncio.to_thread(run, Elastic.bind())
    with Sizes("Elastic") as watched:
        async with Load(handle.work, at_a_time=16) as load:
            await load.wait(lambda: max(watched.seen, default=0) == 4)
            await load.wait(lambda: len(set(list(load.answers.values())[-100:])) == 4)
        await asyncio.to_thread(wait_until, lambda: is_at(0))
        await asyncio.to_thread(wait_until, lambda: watched.seen[-1] == 0)
    assert not load.errors
    assert (watched.seen[0], max(watched.seen), watched.turns) == (0, 4, 1), watched.whys


async def test_the_size_outlives_the_controller(own_mesh: RunningMesh, run: Run) -> None:
    handle = await asyncio.to_thread(run, Elastic.bind())
    async with Load(handle.work, at_a_time=16) as load:
        await load.wait(lambda: len(set(load.answers.values())) == 4)
        before = own_mesh.replicas()
        controller = own_mesh.processes()["controller"]
        kill(controller)
        await asyncio.to_thread(own_mesh.wait_for_another, "controller", controller)
        assert await asyncio.to_thread(lambda: elastic().num_replicas) == 4
        await load.wait_for_more(500)
        assert own_mesh.replicas() == before
    await asyncio.to_thread(wait_until, lambda: is_at(0))
    assert not load.errors


def test_a_policy_of_ones_own_and_its_mistakes(own_mesh: RunningMesh, run: Run) -> None:
    def deploy(policy: object, version: int = 1) -> None:
        run(Elastic.options(**options(min_replicas=1, policy=policy)).bind(version=version), name="own")

    deploy(scaling.two)
    wait_until(lambda: is_at(2))
    assert elastic().scaling == "1 -> 2: 0 ongoing, tests.services.scaling:two says so"
    before = own_mesh.replicas()
    for policy, trouble in (
        ("tests.services.scaling:raises", "policy tests.services.scaling:raises raised LookupError: no idea"),
        (scaling.nonsense, "policy tests.services.scaling:nonsense returned 'many', which is no number"),
        ("tests.services.scaling:absent", "policy tests.services.scaling:absent raised AttributeError"),
    ):
        deploy(policy)
        wait_until(lambda wanted=f"; kept at 2: {trouble}": wanted in elastic().scaling)  # type: ignore[misc]
        assert own_mesh.replicas() == before, "another policy restarts nothing"
    four = 4
    deploy(lambda context: context.max_replicas if four == 4 else 0)  # only a pickle holds it
    wait_until(lambda: is_at(4))
    assert "kept" not in elastic().scaling


def test_an_update_keeps_the_size(own_mesh: RunningMesh, run: Run) -> None:
    scaled = Elastic.options(**options(min_replicas=1, policy=scaling.two))
    run(scaled.bind(version=1))
    wait_until(lambda: is_at(2))
    before = own_mesh.replicas()
    with Sizes("Elastic") as watched:
        handle = run(scaled.bind(version=2))
        assert handle.which.remote().result(LIMIT_S) == 2
        wait_until(lambda: len(own_mesh.replicas()) == 2)
    assert not before.keys() & own_mesh.replicas().keys()
    assert set(watched.seen) <= {2}


def test_what_autoscales_is_not_scaled_by_hand(own_mesh: RunningMesh, run: Run) -> None:
    run(Elastic.bind())
    with pytest.raises(ConfigError, match="'Elastic' of application 'default' autoscales between 0 and 4 replicas"):
        deploying.scale(meshes.to_ask(), "default", "Elastic", 3)
    run(Elastic.options(num_replicas=2).bind())
    assert (is_at(2), elastic().scaling) == (True, "")
    deploying.scale(meshes.to_ask(), "default", "Elastic", 1)
    assert elastic().num_replicas == 1
