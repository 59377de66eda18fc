"""Updates under load, such as fail, and the way back; replicas that hang; what people are told of all that."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest

import mesh
from mesh.application_status import DeploymentStatus, Phase
from mesh.errors import ReplicaDied
from tests.e2e.commands import LIMIT_S, MESHCTL, run_python, run_to_end, wait_until
from tests.e2e.load import Load
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.updated import Front, Hanging, Served
from tests.soak.updates import update_under_load


def shown(name: str = "Served") -> DeploymentStatus:
    """The status of one deployment of the application "default"."""
    (application,) = (one for one in mesh.status().applications if one.name == "default")
    return next(one for one in application.deployments if one.name == name)


def events(own_mesh: RunningMesh, *arguments: str) -> list[dict[str, str]]:
    """What `meshctl events --json` prints of the mesh of this process."""
    ended = run_to_end(MESHCTL, "events", *arguments, "--json", "--mesh", str(own_mesh.engine_pid))
    assert ended.code == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.feature("59")
@pytest.mark.parametrize(("max_surge", "max_unavailable"), [("100%", 0), (1, 0), (0, 1)], ids=["beside", "one", "none"])
async def test_updates_in_a_row_lose_no_request(
    own_mesh: RunningMesh, run: Run, max_surge: int | str, max_unavailable: int
) -> None:
    deployment = Served.options(max_surge=max_surge, max_unavailable=max_unavailable)
    figures = await update_under_load(
        lambda version: run(deployment.bind(version), route_prefix="/"),
        own_mesh.url,
        updates=3,
        before_s=0.5,
        between_s=0.2,
    )
    assert figures.failures == []
    assert sorted(figures.versions) == [0, 1, 2, 3]


async def test_a_bounded_surge_never_holds_more_processes_than_it_says(own_mesh: RunningMesh, run: Run) -> None:
    deployment = Served.options(num_replicas=3, max_surge=1)
    handle = run(deployment.bind(0))
    most = 0

    async def count(key: str) -> int:
        nonlocal most
        version: int = await handle.answer()
        most = max(most, len(own_mesh.replicas("Served")))
        return version

    async with Load(count, at_a_time=4) as load:
        await load.wait_for_more(10)
        await asyncio.to_thread(run, deployment.bind(1))
        await load.wait_for_more(10)
    assert not load.errors
    assert set(load.answers.values()) == {0, 1}
    assert most <= 4
    wait_until(lambda: len(own_mesh.replicas("Served")) == 3)


async def test_an_application_whose_replicas_have_room_beside_the_old_ones_switches_whole(run: Run) -> None:
    def graph(version: int) -> object:
        return Front.bind(Served.bind(version), version)

    front = run(graph(0))

    async def ask(key: str) -> tuple[int, int]:
        answer: tuple[int, int] = await front.ask()
        return answer

    async with Load(ask, at_a_time=4) as load:
        await load.wait_for_more(10)
        await asyncio.to_thread(run, graph(1))
        await load.wait_for_more(10)
    assert not load.errors
    assert {front for front, _ in load.answers.values()} == {0, 1}
    assert (1, 0) not in load.answers.values(), "the new front is not served before what is behind it"


def test_a_new_revision_that_does_not_come_up_leaves_the_old_one_and_can_be_rolled_back(
    own_mesh: RunningMesh, run: Run
) -> None:
    deployment = Served.options(max_surge=1)
    handle = run(deployment.bind(1))
    run(deployment.bind(2))
    wait_until(lambda: len(own_mesh.replicas("Served")) == 2)  # those of version 1 have gone
    before = own_mesh.replicas("Served")
    with pytest.raises(mesh.DeployFailed, match="ValueError: version 3 is broken"):
        run(deployment.bind(3, fails=True))
    assert handle.answer.remote().result(timeout_s=30) == 2
    assert (shown().phase, shown().serving) != (Phase.RUNNING, ())
    assert "version 3 is broken" in shown().message

    mesh.rollback()
    assert shown().phase is Phase.RUNNING
    assert own_mesh.replicas("Served") == before, "what ran last runs still"

    ended = run_to_end(MESHCTL, "rollback", "default", "--mesh", str(own_mesh.engine_pid))
    assert "belongs to" in ended.stderr, "what a script has deployed is up to that script"
    mesh.rollback()
    assert handle.answer.remote().result(timeout_s=30) == 1
    mesh.rollback()
    assert handle.answer.remote().result(timeout_s=30) == 2


def test_what_nothing_ran_before_cannot_be_rolled_back(run: Run) -> None:
    run(Served.bind(1))
    with pytest.raises(mesh.ConfigError, match="'default' cannot be rolled back: nothing that was deployed"):
        mesh.rollback()
    with pytest.raises(mesh.DeploymentNotFound, match="there is no application 'other'"):
        mesh.rollback("other")


def test_settings_restart_nothing(own_mesh: RunningMesh, run: Run) -> None:
    run(Served.bind(1))
    before = own_mesh.replicas("Served")
    run(Served.options(max_ongoing_requests=7, max_surge=1, request_timeout_s=5.0).bind(1))
    assert own_mesh.replicas("Served") == before
    run(Served.options(num_replicas=3).bind(1))
    assert before.items() <= own_mesh.replicas("Served").items()


class TestHung:
    def test_a_loop_that_is_held_is_found_and_the_replica_replaced(self, own_mesh: RunningMesh, run: Run) -> None:
        handle = run(Hanging.bind())
        hung = handle.pid.remote().result(timeout_s=30)
        with pytest.raises((ReplicaDied, mesh.DeadlineExceeded)):
            handle.hold_loop.remote().result(timeout_s=30)
        wait_until(lambda: hung not in own_mesh.replicas("Hanging").values() and shown("Hanging").restarts == 1)
        assert "its event loop is held" in shown("Hanging").message
        wait_until(lambda: shown("Hanging").phase is Phase.RUNNING)
        assert handle.pid.remote().result(timeout_s=30) != hung

    def test_a_process_that_is_stopped_is_found_and_replaced(self, own_mesh: RunningMesh, run: Run) -> None:
        run(Hanging.bind())
        (stopped,) = own_mesh.replicas("Hanging").values()
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: own_mesh.replicas("Hanging") and stopped not in own_mesh.replicas("Hanging").values())
        wait_until(lambda: shown("Hanging").phase is Phase.RUNNING)

    def test_a_turn_that_nobody_waits_for_is_found_and_the_replica_replaced(
        self, own_mesh: RunningMesh, run: Run
    ) -> None:
        handle = run(Hanging.bind())
        hung = handle.plain.remote().result(timeout_s=30)
        (replica_id,) = own_mesh.replicas("Hanging")
        with pytest.raises(mesh.DeadlineExceeded):
            handle.hold_turn.remote().result(timeout_s=30)
        assert handle.pid.remote().result(timeout_s=30) == hung, "its loop goes on"
        wait_until(lambda: shown("Hanging").restarts == 1)
        assert "hold_turn: still running" in shown("Hanging").message
        wait_until(lambda: shown("Hanging").phase is Phase.RUNNING)
        assert handle.plain.remote().result(timeout_s=30) != hung
        told = [event["what"] for event in events(own_mesh, replica_id)]
        assert [what for what in told if what in ("check failed", "draining")] == ["check failed"] * 2 + ["draining"]


def test_events_tell_the_story_of_a_replica_and_of_its_deployment(own_mesh: RunningMesh, run: Run) -> None:
    run(Served.options(num_replicas=1).bind(1), name="story")
    ((replica_id, pid),) = own_mesh.replicas("Served").items()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: own_mesh.replicas("Served").keys() != {replica_id} and len(own_mesh.replicas("Served")) == 1)
    controller = own_mesh.processes()["controller"]
    os.kill(controller, signal.SIGKILL)
    own_mesh.wait_for_another("controller", than=controller)
    run(Served.options(num_replicas=2).bind(1), name="story")

    told = events(own_mesh, replica_id)
    assert [event["what"] for event in told][:1] + [event["what"] for event in told][-2:] == [
        "launched",
        "ready",
        "ended",
    ]
    assert "was ended by SIGKILL; nobody had told it to" in told[-1]["message"]
    of_all = [event["what"] for event in events(own_mesh, "story")]
    assert {"applied", "wished for", "complete", "scaled"} <= set(of_all)
    ended = run_to_end(MESHCTL, "events", "nobody", "--mesh", str(own_mesh.engine_pid))
    assert ended.code == 1
    assert "nothing has happened to 'nobody'; there are events of:" in ended.stderr


def test_events_of_a_name_to_which_nothing_has_happened_yet_are_waited_for(own_mesh: RunningMesh, run: Run) -> None:
    command = (MESHCTL, "events", "later", "-f", "--json", "--mesh", str(own_mesh.engine_pid))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        limit = threading.Timer(LIMIT_S, following.kill)
        limit.start()
        try:
            run(Served.options(num_replicas=1).bind(1), name="later")
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["what"] == "applied"
        finally:
            limit.cancel()
            following.kill()


def test_a_mesh_whose_store_is_corrupt_says_so_and_does_not_touch_it(places: Path) -> None:
    assert run_to_end(MESHCTL, "start", "--name", "spoilt", "--port", "0").code == 0
    assert run_to_end(MESHCTL, "shutdown", "--mesh", "spoilt", "--keep").code == 0
    (store,) = Path(os.environ["XDG_STATE_HOME"]).glob("mesh/spoilt/store")
    (store / "state.sqlite").write_bytes(b"no database")
    ended = run_to_end(MESHCTL, "start", "--name", "spoilt", "--port", "0")
    assert ended.code == 1
    assert f"the store {store} is corrupt and is left as it is" in ended.stderr
    assert "move the folder away" in ended.stderr
    assert (store / "state.sqlite").read_bytes() == b"no database"


def test_a_local_mesh_has_nothing_to_be_rolled_back_to() -> None:
    script = (
        "import mesh; from tests.services.updated import Served; mesh.run(Served.bind(1), local=True); mesh.rollback()"
    )
    ended = run_python("-c", script)
    assert ended.code == 1
    assert "NotSupportedYet: a local mesh keeps nothing" in ended.stderr
