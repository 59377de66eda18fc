"""Limits hold and nothing waits for ever: admission, circles, failing constructors, deadlines, cancelling, draining."""

from __future__ import annotations

import asyncio
import io
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import mesh
from mesh.errors import DeadlineExceeded, DeployFailed, DeploymentNotFound, RequestCancelled, RequestRejected
from tests.e2e.commands import LIMIT_S, run_python, wait_until
from tests.e2e.load import Load
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.cancelling import Caller, Sleeper
from tests.services.journal import Journal
from tests.services.limits import Circle, Crowd, Holder
from tests.services.starts import Failing, Recovering
from tests.services.worker import Worker


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for a condition without holding the loop."""
    await asyncio.to_thread(wait_until, condition)


# Admission


@pytest.mark.parametrize("method", ["hold", "hold_on_turn"])
async def test_of_a_thousand_calls_at_once_those_with_room_are_answered(run: Run, method: str) -> None:
    holder = run(Holder.bind())
    await holder.counted()  # the router knows the limits
    calls = (getattr(holder, method)(number) for number in range(1000))
    results = await asyncio.gather(*calls, return_exceptions=True)
    answered = [number for number, result in enumerate(results) if result == number]
    rejected = [result for result in results if isinstance(result, RequestRejected)]
    runs, most_at_once = await holder.counted()
    assert (len(answered), len(rejected)) == (110, 890)
    assert runs == dict.fromkeys(answered, 1)
    assert most_at_once == 10
    assert "max_queued_requests=100" in str(rejected[0])


async def test_limit_of_a_replica_holds_for_all_its_callers_together(run: Run) -> None:
    holder = Holder.options(max_ongoing_requests=3, threads=3).bind()
    crowd = run(Crowd.options(num_replicas=2).bind(holder), name="crowd")
    inside = mesh.DeploymentHandle("crowd", "Holder")
    async with asyncio.timeout(LIMIT_S):
        own = asyncio.gather(*(inside.hold(number, 0.05) for number in range(20)))
        others = [crowd.hold(range(first, first + 20)) for first in (20, 40)]
        answers = [*await own, *(number for answer in await asyncio.gather(*others) for number in answer)]
    assert answers == list(range(60))
    runs, most_at_once = await inside.counted()
    assert runs == dict.fromkeys(range(60), 1)
    assert most_at_once == 3


def test_threads_wait_for_room_instead_of_being_rejected(run: Run) -> None:
    worker = run(Worker.options(max_ongoing_requests=2, max_queued_requests=5).bind("/dev/null"))
    worker.work.remote("first").result()  # the router knows the limits
    responses = [worker.work.remote(number, 0.001) for number in range(500)]
    assert len(mesh.get(responses, timeout_s=LIMIT_S)) == 500


# Circles

_WAYS = [
    pytest.param(["async"] * 6, id="all async def"),
    pytest.param(["def"] * 6, id="all def"),
    pytest.param(["def", "async"] * 3, id="def and async def in turn"),
]


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("at_once", [1, 24])
async def test_deployments_that_call_each_other_in_a_circle_end(run: Run, way: list[str], at_once: int) -> None:
    first, second = run(Circle.bind("A"), name="first"), run(Circle.bind("B"), name="second")
    entry = first.on_turn if way[0] == "def" else first.on_loop
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*(entry([second, first], way) for _ in range(at_once)))
    assert answers == [["A", "B", "A", "B", "A", "B", "A"]] * at_once


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("at_once", [1, 24])
async def test_deployment_that_calls_itself_ends(run: Run, way: list[str], at_once: int) -> None:
    circle = run(Circle.bind("A"))
    entry = circle.on_turn if way[0] == "def" else circle.on_loop
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*(entry([circle], way) for _ in range(at_once)))
    assert answers == [["A"] * 7] * at_once


async def test_circle_over_several_replicas_ends(run: Run) -> None:
    first = run(Circle.options(num_replicas=3).bind("A"), name="first")
    second = run(Circle.options(num_replicas=2, max_ongoing_requests=3).bind("B"), name="second")
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*(first.on_turn([second, first], ["def", "async"]) for _ in range(24)))
    assert answers == [["A", "B", "A"]] * 24


def test_def_that_waits_gives_its_turn_to_others(run: Run, journal: Journal, tmp_path: Path) -> None:
    caller = run(Caller.bind(journal.path, Sleeper.bind(journal.path)))
    gate = tmp_path / "gate"
    waiting = caller.on_turn.remote("child", gate)
    wait_until(lambda: journal.keys("on-turn") == ["child"])
    other = caller.short.remote()
    gate.touch()
    assert other.result(LIMIT_S) == "done"
    assert not waiting.done()
    waiting.cancel()


async def test_circle_without_end_is_rejected(run: Run) -> None:
    circle = run(Circle.bind("A"))
    with pytest.raises(RequestRejected, match="circle"):
        await circle.on_loop([circle], ["async"] * 40)


# Constructors that raise


def test_failing_constructor_is_shown_at_once_and_given_up_after_three_tries(
    own_mesh: RunningMesh, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    go_on = tmp_path / "go on"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(mesh.run, Failing.bind(journal.path, go_on), name="failing", route_prefix=None)
        try:
            wait_until(lambda: "Service did not start (try 1)" in shown.getvalue())
            wait_until(lambda: "LookupError: no model under that name" in shown.getvalue().partition("(try 1)")[2])
            assert not running.done()
        finally:
            go_on.touch()
        with pytest.raises(DeployFailed) as raised:
            running.result(LIMIT_S)
    assert len(journal.keys("try")) == 3
    assert 'raise LookupError("no model under that name")' in str(raised.value)
    assert "starts.py" in str(raised.value)
    assert "mesh/" not in str(raised.value), "frames of ours are no use to the user"
    assert "sidecar/" not in str(raised.value)
    assert not mesh.status().applications
    wait_until(own_mesh.is_empty)


def test_constructor_that_succeeds_at_the_third_try_runs(run: Run, journal: Journal) -> None:
    assert run(Recovering.bind(journal.path)).ready.remote().result() is True
    assert len(journal.keys("try")) == 3


async def test_failed_update_leaves_the_old_version_serving(
    own_mesh: RunningMesh, run: Run, journal: Journal, tmp_path: Path
) -> None:
    service = run(Worker.options(name="Service", num_replicas=2).bind(journal.path))
    before = own_mesh.replicas()
    go_on = tmp_path / "go on"
    go_on.touch()
    async with Load(service.work, at_a_time=8) as load:
        with pytest.raises(DeployFailed, match="no model under that name"):
            await asyncio.to_thread(run, Failing.bind(tmp_path / "tries", go_on))
        await load.wait_for_more()
    assert not load.errors
    assert own_mesh.replicas() == before


# Deadlines and cancelling


async def test_deadline_cancels_an_async_def(run: Run, journal: Journal) -> None:
    sleeper = run(Sleeper.bind(journal.path))
    with pytest.raises(DeadlineExceeded):
        await sleeper.options(timeout_s=0.5).sleep("late")
    await _until(lambda: journal.keys("cancelled") == ["late"])
    assert await sleeper.sleep("next", 0) == "next"


async def test_def_keeps_its_slot_until_it_has_ended(run: Run, journal: Journal, tmp_path: Path) -> None:
    sleeper = run(Sleeper.bind(journal.path))
    gate = tmp_path / "gate"
    with pytest.raises(DeadlineExceeded):
        await sleeper.options(timeout_s=0.5).wait_for("late", gate)
    with pytest.raises(DeadlineExceeded, match="waiting for a replica with room"):
        await sleeper.options(timeout_s=0.5).sleep("no-room", 0)
    assert journal.keys("begun") == ["late"]
    gate.touch()
    assert await sleeper.sleep("next", 0) == "next"
    assert journal.keys("ended") == ["late", "next"]


async def test_call_that_is_cancelled_before_its_turn_is_never_begun(
    run: Run, journal: Journal, tmp_path: Path
) -> None:
    sleeper = run(Sleeper.options(max_ongoing_requests=2).bind(journal.path))
    gate = tmp_path / "gate"
    first = sleeper.wait_for.remote("first", gate)
    await _until(lambda: journal.keys("begun") == ["first"])
    second = await sleeper.wait_for.remote("second", gate)
    second.cancel()
    with pytest.raises(RequestCancelled):
        await second
    assert second.cancelled()
    assert await sleeper.sleep("in-its-place", 0) == "in-its-place"
    gate.touch()
    assert await (await first) == "first"
    assert await sleeper.wait_for("last", gate) == "last"
    assert journal.keys("begun") == ["first", "in-its-place", "last"]


async def test_cancelled_task_cancels_the_call_and_all_below(run: Run, journal: Journal) -> None:
    caller = run(Caller.bind(journal.path, Sleeper.bind(journal.path)))
    task = asyncio.ensure_future(caller.on_loop("child"))
    await _until(lambda: journal.keys("begun") == ["child"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await _until(lambda: journal.keys("cancelled") == ["child"])


def test_cancel_reaches_what_a_def_waits_for(run: Run, journal: Journal) -> None:
    caller = run(Caller.bind(journal.path, Sleeper.bind(journal.path)))
    response = caller.on_turn.remote("child")
    wait_until(lambda: journal.keys("begun") == ["child"])
    response.cancel()
    with pytest.raises(RequestCancelled):
        response.result(LIMIT_S)
    wait_until(lambda: journal.keys("cancelled") == ["child"] and journal.keys("told") == ["child"])


async def test_cancel_reaches_calls_that_nobody_waits_for(run: Run, journal: Journal) -> None:
    caller = run(Caller.bind(journal.path, Sleeper.bind(journal.path)))
    response = caller.not_waiting.remote("child")
    await _until(lambda: journal.keys("begun") == ["child"])
    response.cancel()
    await _until(lambda: journal.keys("cancelled") == ["child"])


async def test_deadline_travels_to_the_calls_below(run: Run, journal: Journal) -> None:
    caller = run(Caller.bind(journal.path, Sleeper.bind(journal.path)))
    with pytest.raises(DeadlineExceeded):
        await caller.options(timeout_s=0.5).on_turn("child")
    await _until(lambda: journal.keys("cancelled") == ["child"])


async def test_cancelled_calls_leave_their_slots(run: Run, journal: Journal) -> None:
    caller = run(Caller.options(max_ongoing_requests=4).bind(journal.path, Sleeper.bind(journal.path)))
    for _ in range(5):
        begun = len(journal.keys("begun"))
        calls = [asyncio.ensure_future(caller.on_loop("child")) for _ in range(8)]
        await _until(lambda begun=begun: len(journal.keys("begun")) > begun)
        for call in calls:
            call.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*calls, return_exceptions=True)
        )
    task = asyncio.ensure_future(caller.on_loop("last"))
    await _until(lambda: "last" in journal.keys("begun"))
    task.cancel()
    await _until(lambda: "last" in journal.keys("cancelled"))


def test_http_client_that_leaves_cancels_all_below(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    run(Caller.bind(journal.path, Sleeper.bind(journal.path)), route_prefix="/")
    url = httpx.URL(own_mesh.url)
    with socket.create_connection(("127.0.0.1", url.port), timeout=LIMIT_S) as client:
        client.sendall(f"GET /?key=child HTTP/1.1\r\nHost: {url.host}\r\n\r\n".encode())
        wait_until(lambda: journal.keys("begun") == ["child"])
    wait_until(lambda: journal.keys("cancelled") == ["child"])


def test_http_timeout_is_408_and_cancels_all_below(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    run(Caller.bind(journal.path, Sleeper.bind(journal.path)), route_prefix="/")
    answer = httpx.get(f"{own_mesh.url}/?key=child", headers={"X-Request-Timeout-Seconds": "0.5"}, timeout=LIMIT_S)
    assert answer.status_code == 408
    wait_until(lambda: journal.keys("cancelled") == ["child"])


async def test_http_overload_is_503_with_retry_after(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    run(Sleeper.options(max_queued_requests=1).bind(journal.path), route_prefix="/")
    async with httpx.AsyncClient(base_url=own_mesh.url, timeout=LIMIT_S) as client:
        holding = asyncio.ensure_future(client.get("/?key=holding"))
        await _until(lambda: journal.keys("begun") == ["holding"])
        others = [asyncio.ensure_future(client.get(f"/?key={number}")) for number in range(5)]
        done, waiting = await asyncio.wait(others, timeout=LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
        answer = done.pop().result()
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        for request in (holding, *waiting, *done):
            request.cancel()
        await asyncio.gather(holding, *others, return_exceptions=True)


# Draining


async def test_redeploying_under_load_loses_no_request(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path), route_prefix="/")
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=own_mesh.url, timeout=LIMIT_S, limits=limits) as client:

        async def get(key: str) -> tuple[int, int]:
            answer = await client.get(f"/?key=http-{key}")
            return tuple(answer.raise_for_status().json())

        async with Load(worker.work, at_a_time=12) as load, Load(get, at_a_time=8) as web:
            await load.wait_for_more(50)
            await web.wait_for_more(20)
            for version in (2, 3, 4):
                node = Worker.options(num_replicas=2).bind(journal.path, version)
                await asyncio.to_thread(run, node, route_prefix="/")
                await load.wait_for_more(50)
                await web.wait_for_more(20)
    assert not load.errors
    assert not web.errors
    for one in (load, web):
        assert {version for version, _ in one.answers.values()} == {1, 2, 3, 4}
    begun = journal.keys("begun")
    assert len(begun) == len(set(begun)), "none ran twice"
    assert sorted(begun) == sorted(journal.keys("ended"))


async def test_changed_limits_restart_nothing(own_mesh: RunningMesh, run: Run, journal: Journal) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path))
    before = own_mesh.replicas()
    async with Load(worker.work, at_a_time=12) as load:
        await load.wait_for_more()
        await asyncio.to_thread(run, Worker.options(num_replicas=2, max_ongoing_requests=3).bind(journal.path))
        await load.wait_for_more()
        assert own_mesh.replicas() == before
        await asyncio.to_thread(run, Worker.options(num_replicas=1, max_ongoing_requests=3).bind(journal.path))
        await load.wait_for_more()
    assert not load.errors
    await _until(lambda: len(own_mesh.replicas()) == 1)
    assert own_mesh.replicas().items() <= before.items()


async def test_deleting_under_load_loses_no_request_that_was_begun(run: Run, journal: Journal) -> None:
    worker = run(Worker.options(num_replicas=2).bind(journal.path))
    async with Load(worker.work, at_a_time=24) as load:
        await load.wait_for_more()
        await asyncio.to_thread(mesh.delete, "default")
        await load.wait(lambda: bool(load.errors))
    assert {type(error) for error in load.errors.values()} == {DeploymentNotFound}
    assert sorted(journal.keys("begun")) == sorted(load.answers)
    assert sorted(journal.keys("ended")) == sorted(load.answers)


def test_delete_waits_for_what_was_begun(own_mesh: RunningMesh, run: Run, journal: Journal, tmp_path: Path) -> None:
    sleeper = run(Sleeper.bind(journal.path))
    gate = tmp_path / "gate"
    response = sleeper.wait_for.remote("begun", gate)
    wait_until(lambda: journal.keys("begun") == ["begun"])
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(mesh.delete, "default")
        wait_until(lambda: "DRAINING" in _states())
        assert not deleting.done()
        gate.touch()
        deleting.result(LIMIT_S)
    assert response.result(LIMIT_S) == "begun"


def _states() -> set[str]:
    deployments = [deployment for application in mesh.status().applications for deployment in application.deployments]
    return {replica.state for deployment in deployments for replica in deployment.replicas}


# Strangers

_SESSION = "/mesh.v1.ReplicaService/Session"
_ATTACH = "/mesh.v1.ControllerService/Attach"


def _send_as_stranger(path: Path, rpc: str, harm: Path, *token: str) -> list[str]:
    ended = run_python("-m", "tests.services.stranger", str(path), rpc, "work", str(harm), *token)
    assert ended.code == 0, ended.stderr
    answers: list[str] = json.loads(ended.stdout)
    return answers


def test_process_without_the_token_is_refused_before_anything_is_decoded(
    own_mesh: RunningMesh, run: Run, journal: Journal, tmp_path: Path
) -> None:
    worker = run(Worker.bind(journal.path))
    (replica,) = set(own_mesh.run_directory.glob("r-*.sock")) - set(own_mesh.run_directory.glob("r-*.frames.sock"))
    controller = own_mesh.run_directory / "controller.sock"
    harm = tmp_path / "harm"
    for token in ((), ("0" * 64,)):
        assert _send_as_stranger(replica, _SESSION, harm, *token) == ["UNAUTHENTICATED"] * 2
        assert _send_as_stranger(controller, _ATTACH, harm, *token) == ["UNAUTHENTICATED"] * 2
    assert not harm.exists()
    assert worker.work.remote("still serving").result()[0] == 1
    _send_as_stranger(replica, _SESSION, harm, (own_mesh.run_directory / "token").read_text())
    assert harm.exists(), "the same bytes do harm when they come with the token"
