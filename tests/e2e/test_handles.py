"""Calls by handle between real processes: from this script, its threads and loops, other processes, deployments."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import mesh
from mesh import errors
from tests.e2e.commands import LIMIT_S, run_python
from tests.e2e.running_mesh import RunningMesh
from tests.services.handles import Caller, Echo, Gate, Recursive, Refused, Twin, Waiter

Handle = mesh.DeploymentHandle


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deploy(own_mesh: RunningMesh) -> Callable[..., Handle]:
    """Deploys a node as an application of that name, without a place in HTTP."""
    return lambda node, name: mesh.run(node, name=name, route_prefix=None)


@pytest.fixture(scope="module")
def echo(deploy: Callable[..., Handle]) -> Handle:
    return deploy(Echo.bind(), "echo")


@pytest.fixture(scope="module")
def caller(deploy: Callable[..., Handle]) -> Handle:
    echo = Echo.bind()
    nested = {"one": echo, "more": (Echo.options(name="Second").bind(), echo)}
    return deploy(Caller.bind(echo, nested=nested), "caller")


@pytest.fixture(scope="module")
def waiter(deploy: Callable[..., Handle]) -> Handle:
    return deploy(Waiter.bind(Gate.bind()), "waiter")


@pytest.fixture
def gate(waiter: Handle) -> Handle:
    return mesh.DeploymentHandle("waiter", "Gate")


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a gate that no other test uses."""
    return str(request.node.name)


# --- the ways to call


@pytest.mark.feature("44")
def test_remote_and_get_and_result(echo: Handle) -> None:
    response = echo.use.remote(3)
    assert mesh.get(response) == response.result() == response.result(timeout_s=30) == 6
    assert response.done()


@pytest.mark.feature("45")
def test_handle_without_a_method_calls_call(echo: Handle) -> None:
    assert echo.remote("you").result() == "hello you"
    assert echo.remote().result() == "hello world"


@pytest.mark.feature("45")
def test_method_by_option(echo: Handle) -> None:
    assert echo.options(method_name="use").remote(3, times=5).result() == 15


@pytest.mark.feature("46")
async def test_first_await_gives_a_routed_ref_and_the_second_the_result(gate: Handle, key: str) -> None:
    ref = await gate.wait.remote(key)
    assert isinstance(ref, mesh.Ref)
    assert not ref.done()
    await gate.open(key)
    assert await ref == key


@pytest.mark.feature("46")
async def test_response_is_routed_when_there_is_room_for_it(gate: Handle, key: str) -> None:
    working = [await gate.wait.remote(key) for _ in range(3)]
    waiting = asyncio.ensure_future(_routed(gate.wait.remote(f"{key} after")))
    later = gate.open.remote(key)  # has to wait for room, too
    assert not waiting.done()
    assert not later.done()
    working[0].cancel()
    ref = await waiting
    assert not ref.done()
    working[1].cancel()
    await later.value()
    assert await working[2] == key
    ref.cancel()


async def _routed(response: mesh.DeploymentResponse) -> mesh.Ref:
    return await response


@pytest.mark.feature("46")
async def test_call_that_nobody_awaits_runs(gate: Handle, key: str) -> None:
    response = gate.wait.remote(key)
    await gate.begun(key)
    await gate.open(key)
    assert await response.value() == key


@pytest.mark.feature("46b")
async def test_call_like_a_method(echo: Handle) -> None:
    assert await echo.use(4) == 8
    assert await echo("you") == "hello you"
    assert await echo.echo(1, key="word") == ((1,), {"key": "word"})
    assert await asyncio.gather(*(echo.use(number) for number in range(50))) == [2 * number for number in range(50)]


@pytest.mark.feature("46b")
def test_call_like_a_method_outside_of_a_coroutine_says_what_to_do(echo: Handle) -> None:
    with pytest.raises(RuntimeError, match=r"\.remote\(\.\.\.\)\.result\(\)"):
        echo.use(4)


@pytest.mark.feature("44")
def test_plain_loop_over_ten_thousand_inputs_waits_for_room(deploy: Callable[..., Handle]) -> None:
    small = deploy(Echo.options(max_ongoing_requests=10, max_queued_requests=20).bind(), "small")
    responses = [small.use.remote(number) for number in range(10_000)]
    assert mesh.get(responses) == [2 * number for number in range(10_000)]


@pytest.mark.feature("44")
def test_threads_call_at_the_same_time(echo: Handle) -> None:
    def call(first: int) -> list[Any]:
        return [echo.use.remote(first + step).result(timeout_s=LIMIT_S) for step in range(50)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(call, range(0, 800, 100)))
    assert results == [[2 * (first + step) for step in range(50)] for first in range(0, 800, 100)]


# --- responses and refs as values


@pytest.mark.feature("47")
def test_response_as_an_argument_arrives_as_its_value(echo: Handle) -> None:
    first = echo.use.remote(1)
    assert echo.use.remote(first).result() == 4
    assert echo.use.remote(2, times=echo.use.remote(first)).result() == 8
    assert echo.kinds.remote(first, echo.use.remote(1)).result() == ["int", "int"]


@pytest.mark.feature("47")
@pytest.mark.parametrize("method", ["awaited", "got", "got_on_loop"])
def test_response_inside_of_a_container_arrives_as_a_resolved_ref(echo: Handle, method: str) -> None:
    refs = [echo.use.remote(1), echo.use.remote(2)]
    assert echo.kinds.remote(refs).result() == ["Ref", "Ref"]
    assert echo.options(method_name=method).remote(refs).result() == [2, 4]


@pytest.mark.feature("47")
async def test_awaited_and_unawaited_alike(echo: Handle) -> None:
    ref = await echo.use.remote(1)
    await ref
    assert await echo.use(ref) == 4
    assert await echo.use(await echo.use.remote(5)) == 20
    assert await echo.awaited([ref, echo.use.remote(3)]) == [2, 6]


@pytest.mark.feature("47")
def test_error_of_an_argument_is_the_error_of_the_call(echo: Handle) -> None:
    with pytest.raises(LookupError, match="no such thing"):
        echo.use.remote(echo.fail.remote(LookupError("no such thing"))).result()


@pytest.mark.feature("47")
@pytest.mark.parametrize("method", ["pass_on", "pass_on_ref", "pass_on_from_turn"])
def test_response_that_a_method_returns_arrives_as_its_value(caller: Handle, method: str) -> None:
    assert caller.options(method_name=method).remote(4).result() == 8


@pytest.mark.feature("47")
def test_responses_inside_of_what_a_method_returns_arrive_as_refs(caller: Handle) -> None:
    answer = caller.pass_on_nested.remote(4).result()
    assert isinstance(answer["first"], mesh.Ref)
    assert mesh.get([answer["first"], answer["rest"]]) == [8, [10]]


@pytest.mark.feature("47")
def test_responses_between_deployments(caller: Handle) -> None:
    assert caller.chain.remote(1).result() == [2, 4, 8]


@pytest.mark.feature("46c")
def test_response_used_as_a_value_in_a_deployment_says_await_it(caller: Handle) -> None:
    with pytest.raises(TypeError, match="await it"):
        caller.use_as_value.remote().result()


# --- waiting


@pytest.mark.feature("49")
@pytest.mark.parametrize("method", ["call", "call_in_two_steps", "call_and_get", "call_and_result"])
def test_deployment_calls_another(caller: Handle, method: str) -> None:
    assert caller.options(method_name=method).remote(21).result() == 42


@pytest.mark.feature("49")
def test_get_on_the_loop_of_a_replica_says_write_await(caller: Handle) -> None:
    with pytest.raises(RuntimeError, match="write `await ref`"):
        caller.get_on_loop.remote(21).result()


@pytest.mark.feature("49")
@pytest.mark.parametrize("method", ["down", "down_on_loop"])
def test_self_calls_end_though_the_only_slot_is_taken(deploy: Callable[..., Handle], method: str) -> None:
    recursive = deploy(Recursive.bind(), "recursive").options(method_name=method)
    assert recursive.remote(10).result(timeout_s=LIMIT_S) == 10
    responses = [recursive.remote(3) for _ in range(20)]
    assert mesh.get(responses, timeout_s=LIMIT_S) == [3] * 20


@pytest.mark.feature("49")
@pytest.mark.parametrize("method", ["down", "down_on_loop"])
def test_self_calls_without_an_end_are_refused(deploy: Callable[..., Handle], method: str) -> None:
    recursive = deploy(Recursive.bind(), "recursive").options(method_name=method)
    with pytest.raises(errors.RequestRejected, match="circle"):
        recursive.remote(1000).result(timeout_s=LIMIT_S)


@pytest.mark.feature("53")
@pytest.mark.parametrize("method", ["wait", "wait_on_turn", "wait_in_two_steps"])
def test_waiting_for_another_deployment_blocks_nobody(waiter: Handle, gate: Handle, key: str, method: str) -> None:
    waiting = waiter.options(method_name=method).remote(key)
    gate.begun.remote(key).result(LIMIT_S)
    assert waiter.ping.remote().result(LIMIT_S) == "pong"
    assert waiter.ping_on_turn.remote().result(LIMIT_S) == "pong"
    gate.open.remote(key).result(LIMIT_S)
    assert waiting.result(LIMIT_S) == key


@pytest.mark.feature("52")
def test_sequential_calls_alternate_over_two_replicas(deploy: Callable[..., Handle]) -> None:
    twin = deploy(Twin.bind(), "twin")
    pids = [twin.pid.remote().result() for _ in range(8)]
    assert len(set(pids)) == 2
    assert pids[:2] * 4 == pids


# --- handles elsewhere


@pytest.mark.feature("51")
def test_handles_nested_in_constructor_arguments(caller: Handle) -> None:
    own, (one, second, again) = caller.pids.remote().result()
    assert one == again
    assert len({own, one, second, os.getpid()}) == 4


@pytest.mark.feature("51")
def test_handles_travel_as_arguments_and_results(caller: Handle, echo: Handle) -> None:
    assert caller.use_handle.remote(echo, 4).result() == 8
    assert caller.give_handle.remote().result().use.remote(5).result() == 10


@pytest.mark.feature("51")
def test_pickled_handle_calls_the_same_deployment(echo: Handle) -> None:
    again = pickle.loads(pickle.dumps(echo.use))
    assert repr(again) == repr(echo.use) == "DeploymentHandle('echo', 'Echo', method='use')"
    assert again.remote(4).result() == 8


@pytest.mark.feature("51")
@pytest.mark.parametrize("method", ["in_thread", "on_other_loop"])
def test_handle_in_a_thread_or_on_a_loop_of_a_replica(caller: Handle, method: str) -> None:
    assert caller.options(method_name=method).remote(4).result(LIMIT_S) == 8


@pytest.mark.feature("51")
def test_handle_on_one_loop_after_another(echo: Handle) -> None:
    async def call() -> Any:
        return await echo.use(4), await (await echo.use.remote(5))

    for _ in range(3):
        assert asyncio.run(call()) == (8, 10)


@pytest.mark.feature("51")
def test_handle_on_loops_of_several_threads(echo: Handle) -> None:
    async def call(number: int) -> list[Any]:
        return await asyncio.gather(*(echo.use(number + step) for step in range(20)))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: asyncio.run(call(number)), range(0, 400, 100)))
    assert results == [[2 * (first + step) for step in range(20)] for first in range(0, 400, 100)]


SPAWNS = """
import multiprocessing
import os
import mesh

@mesh.deployment
def double(number):
    return 2 * number

def call(handle, number):
    return os.getpid(), handle.remote(number).result(timeout_s=60)

if __name__ == "__main__":
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pid, result = pool.apply(call, (mesh.run(double.bind()), 4))
        pool.close()
        pool.join()
    print(pid != os.getpid(), result)
"""


@pytest.mark.feature("51")
def test_handle_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "spawns.py").write_text(SPAWNS)
    ended = run_python("spawns.py", cwd=tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == "True 8\n"
    assert "Traceback" not in ended.stderr


@pytest.mark.feature("51")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_handle_in_a_forked_process_says_use_spawn(echo: Handle) -> None:
    assert echo.use.remote(4).result(LIMIT_S) == 8  # the handle knows its connection
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            echo.use.remote(4)
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        assert told.read().startswith("MeshUnavailable: a process forked")


# --- what goes wrong


@pytest.mark.feature("54")
def test_unknown_method_is_an_error_at_the_call(echo: Handle) -> None:
    echo.use.remote(1).result()  # the methods are known from now on
    with pytest.raises(errors.MethodNotFound, match=r"Echo has no method 'uses', it has .*; did you mean 'use'\?"):
        echo.uses.remote(1)


@pytest.mark.feature("54")
async def test_unknown_method_is_an_error_where_it_is_awaited(echo: Handle) -> None:
    with pytest.raises(errors.MethodNotFound, match="did you mean 'use'"):
        await echo.uses(1)


def test_handle_of_a_deployment_that_is_not_there_names_those_that_are(echo: Handle) -> None:
    with pytest.raises(errors.DeploymentNotFound, match="Echo"):
        mesh.DeploymentHandle("echo", "Nothing").remote().result(LIMIT_S)


@pytest.mark.feature("55")
@pytest.mark.parametrize("method", ["wait", "wait_on_turn", "wait_in_two_steps"])
def test_cancel_reaches_the_users_code_two_hops_below(waiter: Handle, gate: Handle, key: str, method: str) -> None:
    response = waiter.options(method_name=method).remote(key)
    gate.begun.remote(key).result(LIMIT_S)
    assert not response.cancelled()
    response.cancel()
    gate.cancelled.remote(key).result(LIMIT_S)
    with pytest.raises(errors.RequestCancelled):
        response.result(LIMIT_S)
    assert response.cancelled()


@pytest.mark.feature("55")
async def test_cancelled_task_cancels_the_call(waiter: Handle, gate: Handle, key: str) -> None:
    async def call() -> None:
        await waiter.wait(key)

    calling = asyncio.ensure_future(call())
    await gate.begun(key)
    calling.cancel()
    await gate.cancelled(key)
    with pytest.raises(asyncio.CancelledError):
        await calling


@pytest.mark.feature("55")
async def test_wait_that_is_given_up_cancels_the_call(waiter: Handle, gate: Handle, key: str) -> None:
    response = waiter.wait.remote(key)
    await gate.begun(key)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(response.value(), 0.01)
    await gate.cancelled(key)


@pytest.mark.feature("55")
async def test_cancelled_call_frees_its_slot(gate: Handle, key: str) -> None:
    for _ in range(10):  # more than the deployment works on at once
        ref = await gate.wait.remote(key)
        await gate.begun(key)
        ref.cancel()
        with pytest.raises(errors.RequestCancelled):
            await ref


@pytest.mark.feature("43")
def test_timeout_of_the_handle_ends_the_call_everywhere(waiter: Handle, gate: Handle, key: str) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        waiter.options(method_name="wait", timeout_s=0.3).remote(key).result(LIMIT_S)
    gate.cancelled.remote(key).result(LIMIT_S)


@pytest.mark.feature("56")
@pytest.mark.parametrize("method", ["fail", "fail_on_turn"])
@pytest.mark.parametrize("hops", [1, 2])
def test_exceptions_keep_their_type_and_attributes(echo: Handle, caller: Handle, hops: int, method: str) -> None:
    error = LookupError("no such thing", 17)
    error.shelf = "upper"  # type: ignore[attr-defined]
    error.add_note("a note of the user")
    handle = (echo if hops == 1 else caller).options(method_name=method)
    with pytest.raises(LookupError) as caught:
        handle.remote(error).result()
    assert caught.value.args == ("no such thing", 17)
    assert caught.value.shelf == "upper"  # type: ignore[attr-defined]
    note, remote_traceback = caught.value.__notes__
    assert note == "a note of the user"
    assert remote_traceback.count("raise error") == 1, "the traceback of the user's code comes along, once"
    assert "tests/services/handles.py" in remote_traceback
    assert "sidecar" not in remote_traceback


@pytest.mark.feature("56")
@pytest.mark.parametrize("hops", [1, 2])
def test_exceptions_with_a_constructor_of_their_own(echo: Handle, caller: Handle, hops: int) -> None:
    with pytest.raises(Refused) as caught:
        (echo if hops == 1 else caller).refuse.remote(4, why="too late").result()
    assert (caught.value.code, caught.value.why, str(caught.value)) == (4, "too late", "too late (4)")


@pytest.mark.feature("56")
@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize("method", ["fail", "fail_on_turn"])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError("mine")])
def test_exceptions_that_would_end_the_caller_arrive_as_errors(
    echo: Handle, caller: Handle, hops: int, method: str, error: BaseException
) -> None:
    handle = (echo if hops == 1 else caller).options(method_name=method)
    with pytest.raises(errors.UserCodeError, match=type(error).__name__):
        handle.remote(error).result(LIMIT_S)
    assert echo.use.remote(1).result(LIMIT_S) == 2


@pytest.mark.feature("56")
async def test_stop_iteration_is_an_error_too(echo: Handle) -> None:
    with pytest.raises(errors.UserCodeError, match="StopIteration: 3"):
        await echo.fail_on_turn(StopIteration(3))


# --- arguments and results that cannot travel


def test_argument_that_does_not_pickle_is_named(echo: Handle) -> None:
    with pytest.raises(errors.PayloadError, match=r"argument 2: cannot pickle .*lock"):
        echo.echo.remote(1, threading.Lock())
    with pytest.raises(errors.PayloadError, match=r"argument 'key': cannot pickle .*lock"):
        echo.echo.remote(1, key=[threading.Lock()])


async def test_argument_that_does_not_pickle_is_named_where_it_is_called_like_a_method(echo: Handle) -> None:
    with pytest.raises(errors.PayloadError, match="argument 1: cannot pickle"):
        await echo.echo(threading.Lock())


async def test_argument_that_does_not_pickle_is_told_once(echo: Handle) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    with pytest.raises(errors.PayloadError):
        echo.echo(threading.Lock())
    await echo.echo(1)  # what the loop is told of the call before has come before this
    gc.collect()
    assert told == []


@pytest.mark.parametrize("method", ["lock"])
def test_result_that_does_not_pickle_is_named(echo: Handle, method: str) -> None:
    with pytest.raises(errors.PayloadError, match=r"cannot pickle .*lock"):
        echo.options(method_name=method).remote().result()
    assert echo.use.remote(1).result() == 2


def test_arguments_are_pickled_at_once(echo: Handle) -> None:
    values = [1, 2]
    response = echo.echo.remote(values)
    values.append(3)
    assert response.result() == (([1, 2],), {})


@pytest.mark.parametrize("size_bytes", [0, 1, 300_000, 20_000_000])
@pytest.mark.parametrize("method", ["echo", "echo_on_turn"])
def test_arguments_and_results_of_every_size(echo: Handle, method: str, size_bytes: int) -> None:
    body = os.urandom(size_bytes)
    ((back,), _) = echo.options(method_name=method).remote(body).result(LIMIT_S)
    assert back == body


def test_argument_over_the_limit_is_refused_and_nothing_is_lost(echo: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.payload.MAX_PAYLOAD_BYTES", 1000)
    with pytest.raises(errors.PayloadTooLarge, match="over the limit of 1000 bytes"):
        echo.echo.remote(bytes(1001))
    with pytest.raises(errors.PayloadTooLarge):
        echo.echo.remote([echo.use.remote(1)] * 2, bytes(1001))
    large = [echo.echo.remote(bytes(700)) for _ in range(2)]
    with pytest.raises(errors.PayloadTooLarge, match="over the limit of 1000 bytes"):
        echo.echo.remote(large).result(LIMIT_S)
    assert echo.use.remote(1).result() == 2
