"""Situations of waiting for a call: on loops, in threads, and of waiters that are gone when it ends."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mesh import errors
from mesh.context import turn
from mesh.loops import LoopThread
from mesh.outcome import Outcome, ResultFuture
from mesh.payload import PICKLE, Payload, encode_call
from mesh.response import DeploymentResponse, Ref, value_of

LIMIT_S = 30


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """The loop that runs gRPC."""
    thread = LoopThread()
    yield thread
    thread.stop()


@pytest.fixture
def outcome(thread: LoopThread) -> Outcome:
    """How a call ends whose end the test tells."""
    connection: Any = SimpleNamespace(loop=thread.loop, on_loop=lambda function, argument: None)
    outcome = Outcome(connection, "Model", "predict")
    call: Any = SimpleNamespace(method="predict", router=SimpleNamespace(yields=lambda method: False))
    outcome.call = call
    return outcome


def _payload(value: object) -> Payload:
    return Payload(PICKLE, pickle.dumps(value))


def test_value_is_there_when_the_call_has_ended(outcome: Outcome) -> None:
    outcome.ended(_payload("hello"))
    assert Ref(outcome).result() == "hello"


def test_value_is_decoded_once(outcome: Outcome) -> None:
    outcome.ended(_payload([1, 2]))
    assert Ref(outcome).result() is Ref(outcome).result()


def test_thread_waits_until_the_call_ends(outcome: Outcome, thread: LoopThread) -> None:
    thread.loop.call_soon_threadsafe(outcome.ended, _payload("hello"))
    assert DeploymentResponse(outcome).result(LIMIT_S) == "hello"


def test_wait_that_takes_too_long_leaves_the_call_alone(outcome: Outcome) -> None:
    with pytest.raises(errors.DeadlineExceeded, match=r"Model\.predict has not ended after 0 s; the call goes on"):
        Ref(outcome).result(0)
    outcome.ended(_payload("late"))
    assert Ref(outcome).result(0) == "late"


def test_thread_that_waits_gives_its_turn_away(outcome: Outcome, thread: LoopThread) -> None:
    seen: list[str] = []

    class _Turn:
        def __enter__(self) -> None:
            seen.append("given away")
            thread.loop.call_soon_threadsafe(outcome.ended, _payload("hello"))

        def __exit__(self, *_: object) -> None:
            seen.append("back")

    token = turn.set(SimpleNamespace(given_away=_Turn))
    try:
        assert Ref(outcome).result(LIMIT_S) == "hello"
    finally:
        turn.reset(token)
    assert seen == ["given away", "back"]


async def test_other_loop_waits_in_two_steps(outcome: Outcome, thread: LoopThread) -> None:
    response = DeploymentResponse(outcome)
    thread.loop.call_soon_threadsafe(outcome.routed)
    ref = await response
    assert isinstance(ref, Ref)
    assert not ref.done()
    thread.loop.call_soon_threadsafe(outcome.ended, _payload("hello"))
    assert await ref == "hello"
    assert await response.value() == "hello"


def test_loop_of_the_calls_is_not_blocked(outcome: Outcome, thread: LoopThread) -> None:
    async def wait() -> None:
        Ref(outcome).result()

    with pytest.raises(RuntimeError, match="write `await ref`"):
        thread.run(wait(), LIMIT_S)


def test_waiter_whose_loop_is_closed_keeps_nobody_else_from_being_told(outcome: Outcome) -> None:
    async def begin_to_wait() -> None:
        waiting = asyncio.ensure_future(DeploymentResponse(outcome).value())
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(begin_to_wait())
    told = threading.Event()
    outcome.when_ended(told.set)
    outcome.ended(_payload("hello"))
    assert told.is_set()


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(bool, id="bool"),
        pytest.param(lambda ref: ref + 1, id="sum"),
        pytest.param(lambda ref: 2 * ref, id="product, on the right"),
        pytest.param(lambda ref: ref[0], id="index"),
        pytest.param(lambda ref: list(ref), id="iteration"),
        pytest.param(lambda ref: ref(1), id="call"),
        pytest.param(lambda ref: len(ref), id="len"),
        pytest.param(lambda ref: 1 in ref, id="in"),
        pytest.param(lambda ref: ref < 1, id="comparison"),
        pytest.param(float, id="float"),
        pytest.param(lambda ref: -ref, id="negation"),
        pytest.param(lambda ref: divmod(ref, 2), id="divmod"),
        pytest.param(lambda ref: round(ref), id="round"),
        pytest.param(lambda ref: f"{ref:.2f}", id="format"),
        pytest.param(lambda ref: ref.score, id="attribute"),
    ],
)
@pytest.mark.parametrize("kind", [Ref, DeploymentResponse])
@pytest.mark.feature("46c")
def test_ref_used_as_a_value_says_await_it(outcome: Outcome, kind: type[Any], use: Any) -> None:
    with pytest.raises((TypeError, AttributeError), match="await it"):
        use(kind(outcome))


@pytest.mark.feature("46c")
def test_ref_keeps_identity_hash_and_text(outcome: Outcome) -> None:
    ref, other = Ref(outcome), Ref(outcome)
    assert ref == ref
    assert ref != other
    assert {ref: 1}[ref] == 1
    text = "<Ref of Model.predict: await it to get the value, or call .result() outside of coroutines>"
    assert str(ref) == f"{ref}" == repr(ref) == text


def test_response_says_that_one_await_does_not_give_the_value(outcome: Outcome) -> None:
    text = "<DeploymentResponse of Model.predict: await it twice to get the value, or call .result()"
    assert repr(DeploymentResponse(outcome)).startswith(text)


def test_ref_cannot_be_pickled_outside_of_a_call(outcome: Outcome) -> None:
    with pytest.raises(TypeError, match="only be pickled as an argument or a result"):
        pickle.dumps(Ref(outcome))


@pytest.mark.feature("2")
def test_get_takes_refs_and_lists_and_plain_values(outcome: Outcome) -> None:
    outcome.ended(_payload("hello"))
    ref, response = Ref(outcome), DeploymentResponse(outcome)
    assert value_of(ref) == value_of(response) == "hello"
    assert value_of([ref, [response, (1, ref)], "x"]) == ["hello", ["hello", (1, "hello")], "x"]
    assert value_of({"k": 1}) == {"k": 1}


def test_stop_iteration_of_the_users_code_reaches_a_thread_as_it_is(outcome: Outcome) -> None:
    outcome.ended(StopIteration(3))
    with pytest.raises(StopIteration):
        Ref(outcome).result()


async def test_a_future_as_an_argument_is_refused_with_the_two_ways_out() -> None:
    with pytest.raises(errors.PayloadError, match=r"argument 2: .* await it, or pass handle\.method\.remote\(x\) on"):
        encode_call((1, ResultFuture()), {}, ())
