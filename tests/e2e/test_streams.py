"""Generator methods by handle between real processes: read on loops and in threads, left, cancelled, failing, slow."""

from __future__ import annotations

import asyncio
import gc
import os
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import mesh
from mesh import errors
from mesh.frames import WINDOW
from tests.e2e.commands import LIMIT_S
from tests.e2e.running_mesh import RunningMesh
from tests.services.streams import Reader, Streams

Handle = mesh.DeploymentHandle

pytestmark = pytest.mark.feature("57")

BOTH_KINDS = pytest.mark.parametrize("method", ["count", "count_on_turn"])
BOTH_ENDLESS = pytest.mark.parametrize("method", ["endless", "endless_on_turn"])


@pytest.fixture(autouse=True)
def nothing_left() -> None:
    """What the module has deployed stays until its end."""


@pytest.fixture(scope="module")
def deploy(own_mesh: RunningMesh) -> Callable[..., Handle]:
    """Deploys a node as an application of that name, without a place in HTTP."""
    return lambda node, name: mesh.run(node, name=name, route_prefix=None)


@pytest.fixture(scope="module")
def reader(deploy: Callable[..., Handle]) -> Handle:
    return deploy(Reader.bind(Streams.bind()), "reader")


@pytest.fixture(scope="module")
def streams(reader: Handle) -> Handle:
    """What the reader reads, for which it is known what its methods are."""
    handle = mesh.DeploymentHandle("reader", "Streams")
    handle.ping.remote().result(LIMIT_S)
    return handle


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """The key of a stream that no other test uses."""
    return str(request.node.name)


# --- the ways to read


@BOTH_KINDS
@pytest.mark.parametrize("number", [0, 1, 10_000])
def test_for_in_a_script(streams: Handle, method: str, number: int) -> None:
    items = streams.options(method_name=method).remote(number)
    assert isinstance(items, mesh.DeploymentResponseGenerator)
    assert list(items) == list(range(number))
    assert items.done()
    assert list(items) == []


@BOTH_KINDS
@pytest.mark.parametrize("number", [0, 1, 10_000])
async def test_async_for_on_a_loop_of_the_script(streams: Handle, method: str, number: int) -> None:
    handle = streams.options(method_name=method)
    assert [item async for item in handle.remote(number)] == list(range(number))
    assert [item async for item in handle(number)] == list(range(number))


@BOTH_KINDS
async def test_result_of_a_generator_method_is_the_generator(streams: Handle, method: str) -> None:
    handle = streams.options(method_name=method)
    assert [item async for item in await handle(3)] == [0, 1, 2]
    assert [item async for item in await handle.remote(3)] == [0, 1, 2]
    assert await asyncio.to_thread(lambda: list(mesh.get(handle.remote(3)))) == [0, 1, 2]
    assert await asyncio.to_thread(lambda: list(handle.remote(3).result(LIMIT_S))) == [0, 1, 2]


@BOTH_KINDS
@pytest.mark.parametrize("read", ["read", "read_on_turn"])
def test_deployment_reads_the_items_of_another(reader: Handle, method: str, read: str) -> None:
    assert reader.options(method_name=read).remote(method, 2000).result(LIMIT_S) == list(range(2000))


@BOTH_KINDS
def test_threads_read_at_the_same_time(streams: Handle, method: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: list(streams.options(method_name=method).remote(n)), range(400, 408)))
    assert results == [list(range(number)) for number in range(400, 408)]


def test_first_call_of_a_script_knows_no_method_and_is_read_alike(deploy: Callable[..., Handle]) -> None:
    first = [deploy(Streams.bind(), name) for name in ("first", "second", "third", "fourth")]
    assert list(first[0].count.remote(3)) == [0, 1, 2]
    assert list(first[1].count_on_turn.remote(3).result(LIMIT_S)) == [0, 1, 2]

    async def read() -> list[Any]:
        return [[i async for i in first[2].count(3)], [i async for i in await first[3].count.remote(3)]]

    assert asyncio.run(read()) == [[0, 1, 2], [0, 1, 2]]


def test_first_call_of_a_replica_knows_no_method_and_is_read_alike(deploy: Callable[..., Handle]) -> None:
    for name, read, args in (("a", "first", (3,)), ("b", "read", ("count", 3)), ("c", "read_on_turn", ("count", 3))):
        handle = deploy(Reader.bind(Streams.bind()), f"first-{name}").options(method_name=read)
        assert handle.remote(*args).result(LIMIT_S) == [0, 1, 2]


def test_for_on_the_loop_of_a_replica_says_async_for(reader: Handle) -> None:
    with pytest.raises(RuntimeError, match="`async for`"):
        reader.read_plainly.remote().result(LIMIT_S)


@pytest.mark.parametrize("method", ["made", "made_on_loop"])
def test_generator_that_a_method_returns_is_a_stream_by_option(streams: Handle, method: str) -> None:
    handle = pickle.loads(pickle.dumps(streams.options(method_name=method, stream=True)))
    assert list(handle.remote(1000)) == list(range(1000))


async def test_value_is_no_stream(streams: Handle) -> None:
    with pytest.raises(TypeError, match=r"Streams\.value has returned a value .*without stream=True"):
        await anext(aiter(streams.options(stream=True).value.remote()))
    with pytest.raises(TypeError, match="await it"):
        list(streams.value.remote())
    with pytest.raises(TypeError, match=r"Streams\.value is no generator: await it"):
        async for _ in streams.value():
            pass
    assert await streams.options(stream=True).options(stream=False).value() == 1


# --- the end before the end


async def _break(items: Any) -> None:
    async for _ in items:
        break


async def _cancel(items: Any) -> None:
    await anext(aiter(items))
    items.cancel()
    with pytest.raises(errors.RequestCancelled):
        await anext(items)
    assert items.cancelled()
    assert [item async for item in items] == []


async def _close(items: Any) -> None:
    await anext(aiter(items))
    await items.aclose()


async def _cancel_the_task(items: Any) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in items:
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _break_in_a_thread(items: Any) -> None:
    def read(items: Any) -> None:
        for _ in items:
            break

    await asyncio.to_thread(read, items)


LEAVE = pytest.mark.parametrize("leave", [_break, _cancel, _close, _cancel_the_task, _break_in_a_thread])


@LEAVE
@pytest.mark.parametrize("method", ["endless", "endless_on_turn", "one_then_waits"])
async def test_leaving_a_stream_ends_the_generator(streams: Handle, key: str, leave: Any, method: str) -> None:
    await leave(streams.options(method_name=method).remote(key))
    gc.collect()
    await streams.ended(key)


@LEAVE
@BOTH_ENDLESS
async def test_leaving_a_stream_frees_its_slot(
    deploy: Callable[..., Handle], key: str, leave: Any, method: str
) -> None:
    small = await asyncio.to_thread(deploy, Streams.options(max_ongoing_requests=1).bind(), "small")
    for _ in range(3):
        await leave(small.options(method_name=method, stream=True).remote(key))
        gc.collect()
        assert await small.value(7) == 7


async def test_stream_that_has_not_begun_is_cancelled(streams: Handle, key: str) -> None:
    waiting = asyncio.ensure_future(anext(aiter(streams.waits.remote(key))))
    await streams.entered(key)
    waiting.cancel()
    await streams.ended(key)


def test_cancelled_request_ends_the_streams_that_it_reads(reader: Handle, streams: Handle, key: str) -> None:
    reading = reader.until_cancelled.remote(key)
    streams.entered.remote(key).result(LIMIT_S)
    reading.cancel()
    streams.ended.remote(key).result(LIMIT_S)


# --- failures


@pytest.mark.parametrize("method", ["fail", "fail_on_turn"])
@pytest.mark.parametrize("after", [0, 3, 1000])
def test_items_before_an_exception_arrive_before_it(streams: Handle, method: str, after: int) -> None:
    items: Any = streams.options(method_name=method).remote(after)
    read: list[int] = []
    with pytest.raises(LookupError, match=f"nothing after {after}") as raised:
        read.extend(items)
    assert read == list(range(after))
    assert 'raise LookupError(f"nothing after {after}")' in raised.value.__notes__[-1]
    assert list(items) == []


async def test_exception_before_the_first_item_is_raised_by_awaiting(streams: Handle) -> None:
    with pytest.raises(LookupError, match="nothing after 0"):
        await streams.fail(0)


def test_item_that_cannot_be_rebuilt_ends_the_stream(streams: Handle, key: str) -> None:
    items = streams.unreadable.remote(key)
    assert next(items) == 1
    with pytest.raises(errors.PayloadError, match="not here"):
        next(items)
    assert list(items) == []
    streams.ended.remote(key).result(LIMIT_S)


def test_item_that_does_not_pickle_ends_the_stream(streams: Handle) -> None:
    items = streams.lock.remote()
    assert next(items) == 1
    with pytest.raises(errors.PayloadError, match="cannot pickle"):
        next(items)


@BOTH_ENDLESS
@pytest.mark.parametrize("retry", [True, False])
def test_replica_that_dies_breaks_the_stream(deploy: Callable[..., Handle], key: str, method: str, retry: bool) -> None:
    mortal = deploy(Streams.bind(), "mortal")
    pid = mortal.pid.remote().result(LIMIT_S)
    items = mortal.options(method_name=method, retry_on_death=retry).remote(key)
    next(items)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(errors.ReplicaDied):
        list(items)


def test_deadline_up_to_the_first_item(streams: Handle, key: str) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        next(streams.options(timeout_s=0.1).waits.remote(key))
    streams.ended.remote(key).result(LIMIT_S)


def test_deadline_between_items(streams: Handle, key: str) -> None:
    items = streams.options(timeout_s=0.2).one_then_waits.remote(key)
    assert next(items) == "first"
    with pytest.raises(errors.DeadlineExceeded):
        next(items)
    streams.ended.remote(key).result(LIMIT_S)


# --- flow


@BOTH_ENDLESS
async def test_slow_reader_holds_the_generator(streams: Handle, key: str, method: str) -> None:
    size = WINDOW // 8
    items = streams.options(method_name=method).remote(key, size)
    for read in range(1, 20):
        await anext(items)
        for _ in range(20):  # each is a round of the replica's loop and of its turn
            await streams.ping()
        assert await streams.yielded(key) <= read + 1 + 2 * WINDOW // size
    items.cancel()


@BOTH_ENDLESS
def test_stream_that_is_held_holds_up_nobody(reader: Handle, streams: Handle, key: str, method: str) -> None:
    items = streams.options(method_name=method).remote(key)
    next(items)
    assert streams.ping.remote().result(LIMIT_S) == "pong"
    assert reader.read.remote("count_on_turn", 1000).result(LIMIT_S) == list(range(1000))
    items.cancel()


def test_item_arrives_before_the_next_step_ends(streams: Handle, key: str) -> None:
    items = streams.one_then_holds.remote(key)
    assert next(items) == "first"
    streams.open.remote(key).result(LIMIT_S)
    assert list(items) == ["second"]


def test_steps_of_a_plain_generator_share_one_context_and_the_turn(streams: Handle) -> None:
    pids, threads, steps = zip(*streams.where.remote(600), strict=True)
    assert len(set(pids)) == len(set(threads)) == 1
    assert list(steps) == list(range(1, 601))


def test_items_of_one_turn_do_not_wait_for_each_other(streams: Handle) -> None:
    one, other = streams.count_on_turn.remote(2000), streams.count_on_turn.remote(2000)
    assert list(zip(one, other, strict=True)) == [(number, number) for number in range(2000)]


def test_large_items(streams: Handle, key: str) -> None:
    items = streams.endless_on_turn.remote(key, 3 * WINDOW)
    assert [len(next(items)) for _ in range(5)] == [3 * WINDOW] * 5


# --- passed on


BOTH_PASS_ON = pytest.mark.parametrize("through", ["pass_on", "pass_on_from_turn"])
BOTH_COLLECT = pytest.mark.parametrize("collect", ["collect", "collect_on_turn"])


@BOTH_KINDS
@BOTH_PASS_ON
def test_stream_as_a_result(reader: Handle, method: str, through: str) -> None:
    items = reader.options(method_name=through).remote(method, 5000).result(LIMIT_S)
    assert isinstance(items, mesh.DeploymentResponseGenerator)
    assert list(items) == list(range(5000))
    assert list(reader.options(method_name=through, stream=True).remote(method, 0)) == []


async def test_rest_of_a_stream_as_a_result(reader: Handle) -> None:
    assert [item async for item in await reader.pass_on_rest("count", 4)] == [1, 2, 3]


@BOTH_PASS_ON
def test_stream_as_a_result_over_several_deployments(deploy: Callable[..., Handle], through: str) -> None:
    handle = deploy(Reader.options(name="A").bind(Reader.options(name="B").bind(Streams.bind())), f"hops-{through}")
    assert list(handle.pass_on.remote(through, "count", 1000).result(LIMIT_S)) == list(range(1000))
    with pytest.raises(LookupError, match="nothing after 3"):
        list(handle.pass_on.remote(through, "fail", 3).result(LIMIT_S))


@BOTH_PASS_ON
@pytest.mark.parametrize("method", ["fail", "fail_on_turn"])
def test_stream_as_a_result_ends_with_what_the_generator_raised(reader: Handle, through: str, method: str) -> None:
    items = reader.options(method_name=through).remote(method, 3).result(LIMIT_S)
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    with pytest.raises(LookupError, match="nothing after 3") as raised:
        next(items)
    assert "in fail" in raised.value.__notes__[-1]
    with pytest.raises(LookupError, match="nothing after 0"):
        reader.options(method_name=through).remote(method, 0).result(LIMIT_S)


@BOTH_ENDLESS
def test_stream_as_a_result_is_held_by_its_reader_and_ended_by_it(
    reader: Handle, streams: Handle, key: str, method: str
) -> None:
    items = reader.pass_on.remote(method, key, 4096).result(LIMIT_S)
    next(items)
    held = _settled(lambda: streams.yielded.remote(key).result(LIMIT_S))
    assert held <= 3 * WINDOW // 4096  # one window a hop, and what is on its way
    for _ in range(held):
        next(items)
    assert streams.yielded.remote(key).result(LIMIT_S) > held
    items.cancel()
    streams.ended.remote(key).result(LIMIT_S)


async def test_large_items_pass_through(reader: Handle, streams: Handle) -> None:
    large = [bytes([value]) * 2_000_000 for value in range(4)]
    assert [item async for item in await reader.pass_on("large", 4)] == large
    assert await reader.collect(streams.large(4)) == large
    assert await reader.further(streams.large(4), 1) == large


def test_stream_inside_of_a_result_is_refused(reader: Handle) -> None:
    with pytest.raises(errors.PayloadError, match="a stream cannot be a part of a result"):
        reader.nest.remote().result(LIMIT_S)


@BOTH_KINDS
@BOTH_COLLECT
def test_stream_as_an_argument(reader: Handle, streams: Handle, method: str, collect: str) -> None:
    handle = reader.options(method_name=collect)
    assert handle.remote(streams.options(method_name=method).remote(5000)).result(LIMIT_S) == list(range(5000))
    assert handle.remote(items=streams.options(method_name=method).remote(0)).result(LIMIT_S) == []


def test_stream_inside_of_an_argument(reader: Handle, streams: Handle) -> None:
    assert reader.collect_nested.remote({"items": streams.count.remote(3)}).result(LIMIT_S) == [0, 1, 2]


def test_stream_as_an_argument_of_the_first_call_of_all(deploy: Callable[..., Handle]) -> None:
    handle = deploy(Reader.bind(Streams.bind()), "first-argument")
    stream = mesh.DeploymentHandle("first-argument", "Streams").count.remote(3)
    assert handle.collect.remote(stream).result(LIMIT_S) == [0, 1, 2]


@pytest.mark.parametrize("method", ["plus", "plus_on_turn"])
async def test_stream_goes_in_and_another_comes_out(reader: Handle, streams: Handle, method: str) -> None:
    plus = reader.options(method_name=method)
    assert [item async for item in plus(streams.count(2000), 10)] == list(range(10, 2010))
    assert [item async for item in plus.remote(plus.remote(streams.count.remote(300), 1), 1)] == list(range(2, 302))


async def test_stream_that_came_is_passed_on(reader: Handle, streams: Handle) -> None:
    assert [item async for item in await reader.back(streams.count(1000))] == list(range(1000))
    assert await reader.further(streams.count(1000), 3) == list(range(1000))


@BOTH_COLLECT
async def test_stream_as_an_argument_ends_with_what_its_generator_raised(
    reader: Handle, streams: Handle, collect: str
) -> None:
    with pytest.raises(LookupError, match="nothing after 3"):
        await reader.options(method_name=collect)(streams.fail(3))
    with pytest.raises(LookupError, match="nothing after 0"):
        await reader.options(method_name=collect)(streams.fail_on_turn(0))
    sums = reader.plus(streams.fail(3), 10)
    assert [await anext(sums), await anext(sums), await anext(sums)] == [10, 11, 12]
    with pytest.raises(LookupError, match="nothing after 3"):
        await anext(sums)


@BOTH_ENDLESS
async def test_stream_as_an_argument_is_held_by_its_reader(
    reader: Handle, streams: Handle, key: str, method: str
) -> None:
    call = reader.hold(streams.options(method_name=method).remote(key, 4096), f"{key} reader")
    held = await asyncio.to_thread(_settled, lambda: streams.yielded.remote(key).result(LIMIT_S))
    assert 0 < held <= 4 * WINDOW // 4096
    await streams.open(f"{key} reader")
    await call
    await streams.ended(key)


@BOTH_ENDLESS
async def test_stream_as_an_argument_ends_with_the_call(reader: Handle, streams: Handle, key: str, method: str) -> None:
    endless = streams.options(method_name=method)
    assert await reader.first_of(endless.remote(f"{key} 1")) == "x" * 100
    await streams.ended(f"{key} 1")
    assert await reader.ignore(endless.remote(f"{key} 2")) == "DeploymentResponseGenerator"
    await streams.ended(f"{key} 2")
    call = reader.collect(endless.remote(f"{key} 3"))
    await asyncio.to_thread(_settled, lambda: streams.yielded.remote(f"{key} 3").result(LIMIT_S) > 1)
    call.cancel()
    await streams.ended(f"{key} 3")


async def test_stream_goes_to_one_reader_of_one_call(reader: Handle, streams: Handle, key: str) -> None:
    items = streams.endless.remote(key)
    first = reader.first_of.remote(items)
    with pytest.raises(errors.PayloadError, match=r"the stream of Streams\.endless was passed on already"):
        await reader.first_of(items)
    assert await (await first) == "x" * 100
    with pytest.raises(errors.PayloadError, match=r"two streams are arguments of one call of Reader\.collect"):
        await reader.collect([streams.count.remote(1), streams.count.remote(1)])


def test_stream_as_an_argument_goes_down_with_its_caller_s_deadline(reader: Handle, streams: Handle, key: str) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        reader.options(timeout_s=0.3).collect_on_turn.remote(streams.one_then_waits.remote(key)).result(LIMIT_S)
    streams.ended.remote(key).result(LIMIT_S)


def _settled(read: Callable[[], Any]) -> Any:
    """What is read, as soon as it is something and stays what it is."""
    value, before = read(), None
    for _ in range(200):
        if value and value == before:
            return value
        value, before = read(), value
    return value


def test_responses_that_are_yielded_arrive_as_values(reader: Handle) -> None:
    for method in ("yield_responses", "yield_responses_on_turn"):
        assert list(reader.options(method_name=method).remote(600)) == list(range(600))
