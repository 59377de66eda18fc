"""Batches outside of a replica: on a loop that is anybody's, and in a thread without one."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import cloudpickle
import pytest

from mesh import errors
from mesh.batch_run import ITEMS_AHEAD
from mesh.batching import Batched, batch
from mesh.config import MethodKind
from mesh.context import RequestContext, current
from mesh.target import methods_of


class Model:
    """Batches of every kind; ``batches`` has the arguments of each run."""

    def __init__(self) -> None:
        self.batches: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.steps = 0
        self.closed = False

    @batch(max_batch_size=3)
    async def double(self, numbers: list[int]) -> list[int]:
        self.batches.append(numbers)
        self.begun.set()
        await self.gate.wait()
        return [2 * number for number in numbers]

    @batch(max_batch_size=3)
    async def scale(self, numbers: list[int], factors: list[int] = 10) -> list[int]:  # type: ignore[assignment]
        """Several parameters, one of them with a default."""
        return [number * factor for number, factor in zip(numbers, factors, strict=True)]

    @batch(max_batch_size=3)
    async def count(self, limits: list[int]) -> AsyncIterator[list[Any]]:
        self.batches.append(limits)
        try:
            for step in range(max(limits)):
                self.steps = step
                yield [step if step < limit else StopIteration for limit in limits]
        finally:
            self.closed = True

    @batch(max_batch_size=3)
    async def wrong(self, results: list[Any]) -> Any:
        return results[0]

    @batch
    def plain(self, numbers: list[int]) -> list[int]:
        return [len(numbers) * number for number in numbers]

    @batch
    def plain_yielding(self, numbers: list[int]) -> Iterator[list[Any]]:
        yield list(numbers)
        yield [StopIteration() for _ in numbers]


async def read(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


async def test_calls_of_one_tick_share_batches_up_to_the_limit() -> None:
    model = Model()
    assert await asyncio.gather(*(model.double(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert model.batches == [[0, 1, 2], [3, 4]]


async def test_the_next_batch_gathers_while_one_runs() -> None:
    model = Model()
    model.gate.clear()
    calls = [asyncio.create_task(model.double(1))]
    await asyncio.sleep(0.01)
    calls += [asyncio.create_task(model.double(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert model.batches == [[1]], "not even a full one"
    model.gate.set()
    assert await asyncio.gather(*calls) == [2, 4, 6, 8]
    assert model.batches == [[1], [2, 3, 4]]


async def test_a_batch_waits_for_others_as_long_as_it_was_told() -> None:
    model = Model()
    model.double.set_batch_wait_timeout_s(30)
    first = asyncio.create_task(model.double(1))
    await asyncio.sleep(0.01)
    assert model.batches == []
    assert await asyncio.gather(first, model.double(2), model.double(3)) == [2, 4, 6]


async def test_settings_belong_to_one_object() -> None:
    one, other = Model(), Model()
    one.double.set_max_batch_size(1)
    await asyncio.gather(*(model.double(number) for model in (one, other) for number in range(2)))
    assert (one.batches, other.batches) == ([[0], [1]], [[0, 1]])
    again = copy.copy(one)
    assert (again.double is one.double, one.double is one.double) == (False, True)


async def test_every_parameter_becomes_a_list_and_defaults_are_filled_in() -> None:
    model = Model()
    assert await asyncio.gather(model.scale(1), model.scale(2, 3), model.scale(factors=5, numbers=1)) == [10, 6, 5]
    with pytest.raises(TypeError, match="missing a required argument"):
        await model.scale()


@pytest.mark.parametrize(
    ("results", "error", "message"),
    [
        pytest.param([1, 2, 3], ValueError, r"a batch of 2 calls and has to return 2 results, .* not 3", id="too many"),
        pytest.param([], ValueError, "has to return 2 results", id="none at all"),
        pytest.param(None, TypeError, "has to return a list .* not NoneType", id="nothing"),
        pytest.param("ab", TypeError, "not str", id="a text is no list"),
        pytest.param({1: 1, 2: 2}, TypeError, "not dict", id="a dict has no order of calls"),
    ],
)
async def test_a_wrong_number_of_results_is_told_to_every_caller(
    results: Any, error: type[Exception], message: str
) -> None:
    model = Model()
    for raised in await asyncio.gather(model.wrong(results), model.wrong(results), return_exceptions=True):
        with pytest.raises(error, match=message):
            raise raised


@pytest.mark.parametrize("error", [LookupError("no such model"), SystemExit(3), StopIteration(4)])
async def test_what_it_raises_is_raised_in_every_caller(error: BaseException) -> None:
    @batch(max_batch_size=2)
    async def fails(numbers: list[int]) -> list[int]:
        raise error

    raised = await asyncio.gather(fails(1), fails(2), return_exceptions=True)
    assert [type(one) for one in raised] == [LookupError if type(error) is LookupError else RuntimeError] * 2


async def test_who_has_left_is_not_in_the_batch() -> None:
    model = Model()
    model.double.set_batch_wait_timeout_s(0.01)
    gone, stays = asyncio.create_task(model.double(1)), asyncio.create_task(model.double(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 4
    assert model.batches == [[2]]


async def test_who_leaves_a_batch_that_runs_is_ignored() -> None:
    model = Model()
    model.gate.clear()
    gone, stays = asyncio.create_task(model.double(1)), asyncio.create_task(model.double(2))
    await model.begun.wait()
    gone.cancel()
    model.gate.set()
    assert await stays == 4


async def test_a_batch_that_everybody_has_left_is_cancelled_and_the_next_one_runs() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @batch(max_batch_size=2)
    async def waits(numbers: list[int]) -> list[int]:
        if numbers == [3]:
            return numbers
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return numbers

    calls = [asyncio.create_task(waits(number)) for number in (1, 2)]
    await begun.wait()
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    assert not cancelled.is_set()
    calls[1].cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    assert await waits(3) == 3


async def test_each_caller_of_a_generator_has_its_own_stream_and_end() -> None:
    model = Model()
    streams = await asyncio.gather(*(read(model.count(limit)) for limit in (1, 3, 0)))
    assert (streams, model.batches, model.closed) == ([[0], [0, 1, 2], []], [[1, 3, 0]], True)


async def test_a_generator_runs_ahead_of_a_slow_reader_no_further_than_so() -> None:
    model = Model()
    slow, quick = model.count(1000), model.count(1000)
    reading = asyncio.create_task(read(quick))
    assert await anext(slow) == 0
    await asyncio.sleep(0.01)
    assert model.steps <= ITEMS_AHEAD + 1
    await slow.aclose()
    assert len(await reading) == 1000


async def test_a_generator_that_everybody_has_left_is_closed() -> None:
    model = Model()
    stream = model.count(1000)
    await anext(stream)
    await stream.aclose()
    await asyncio.sleep(0.01)
    assert model.closed


async def test_what_a_generator_raises_comes_behind_its_items() -> None:
    @batch
    async def fails(numbers: list[int]) -> AsyncIterator[list[int]]:
        yield numbers
        raise LookupError("half way")

    stream = fails(7)
    assert await anext(stream) == 7
    with pytest.raises(LookupError, match="half way"):
        await anext(stream)


async def test_a_batch_waits_until_the_last_of_its_callers_gives_up_and_wants_one_model() -> None:
    seen: list[Any] = []

    @batch(max_batch_size=4)
    async def look(numbers: list[int]) -> list[int]:
        request = current.get()
        assert request is not None
        seen.append((numbers, request.model_id, request.deadline, request.chain))
        return numbers

    async def ask(number: int, model_id: str, deadline: float, *chain: str) -> int:
        current.set(RequestContext("r", deadline, chain=chain, model_id=model_id))
        return int(await look(number))

    await asyncio.gather(
        *(
            asyncio.create_task(ask(*arguments))
            for arguments in ((1, "a", 5.0, "X#1", "M#1"), (2, "b", 9.0, "M#1"), (3, "a", 7.0, "Y#1", "M#1"))
        )
    )
    assert seen == [([1, 3], "a", 7.0, ("X#1", "Y#1", "M#1")), ([2], "b", 9.0, ("M#1",))]


async def test_a_method_that_is_overridden_has_batches_of_its_own() -> None:
    class Tuned(Model):
        @batch(max_batch_size=2)
        async def double(self, numbers: list[int]) -> list[int]:
            return [1 + await super(Tuned, self).double(number) for number in numbers]

    assert await asyncio.wait_for(Tuned().double(3), 5) == 7


def test_each_loop_has_batches_of_its_own() -> None:
    model = Model.__new__(Model)
    model.batches = []
    for number in (1, 2):

        async def ask(number: int = number) -> int:
            model.begun, model.gate = asyncio.Event(), asyncio.Event()
            model.gate.set()
            return int(await model.double(number))

        assert asyncio.run(ask()) == 2 * number


def test_a_plain_function_outside_of_a_replica_is_a_batch_of_one() -> None:
    model = Model.__new__(Model)
    assert (model.plain(7), list(model.plain_yielding(5))) == (7, [5])


async def test_a_plain_function_does_not_block_a_loop() -> None:
    with pytest.raises(RuntimeError, match="make it `async def`"):
        Model().plain(7)


def test_batched_methods_are_of_the_kind_that_they_were() -> None:
    kinds = {method.name: method.kind for method in methods_of(Model)}
    assert kinds == {
        "double": MethodKind.ASYNC_DEF,
        "scale": MethodKind.ASYNC_DEF,
        "wrong": MethodKind.ASYNC_DEF,
        "count": MethodKind.ASYNC_GENERATOR,
        "plain": MethodKind.DEF,
        "plain_yielding": MethodKind.GENERATOR,
    }


def test_what_cannot_be_batched_is_refused() -> None:
    with pytest.raises(errors.ConfigError, match=r"no place for \*rest"):
        batch(lambda first, *rest: [first, rest])
    with pytest.raises(errors.ConfigError, match="no parameter"):
        batch(lambda: [1])()
    with pytest.raises(TypeError, match="goes on a function"):
        batch(Model)
    with pytest.raises(errors.ConfigError, match="max_batch_size"):
        batch(max_batch_size=0)


def test_a_batched_function_and_an_object_that_has_one_travel() -> None:
    doubled = cloudpickle.loads(cloudpickle.dumps(batch(max_batch_size=2)(lambda numbers: [2 * n for n in numbers])))
    assert (isinstance(doubled, Batched), doubled(4)) == (True, 8)
    holder = pickle.loads(pickle.dumps(_used()))
    assert holder.plain(7) == 7


class Holder:
    """An object with a batched method and nothing else."""

    @batch
    def plain(self, numbers: list[int]) -> list[int]:
        return numbers


def _used() -> Holder:
    holder = Holder()
    holder.plain(1)
    return holder
