"""Which models are loaded, how often, and which are let go."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from mesh.context import LONGEST_MODEL_ID, ReplicaContext, RequestContext, Surroundings, current
from mesh.errors import ConfigError
from mesh.multiplexing import get_multiplexed_model_id, multiplexed


class Weights:
    """A model that says when it is gone."""

    def __init__(self, model_id: str, gone: list[str]) -> None:
        self.model_id = model_id
        self._gone = gone

    def __del__(self) -> None:
        self._gone.append(self.model_id)


class Zoo:
    """Two models at a time; ``loaded`` and ``gone`` have the ids in order."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gone: list[str] = []
        self.gone_before: dict[str, list[str]] = {}
        self.at_once = self.most_at_once = 0

    @multiplexed(max_num_models_per_replica=2)
    async def model(self, model_id: str) -> Weights:
        self.loaded.append(model_id)
        self.gone_before[model_id] = list(self.gone)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        if model_id == "broken":
            raise LookupError("no such model")
        if model_id == "adapter":
            await self.model("base")
        return Weights(model_id, self.gone)

    @multiplexed(max_num_models_per_replica=2)
    def plain(self, model_id: str) -> Weights:
        self.loaded.append(model_id)
        self.gone_before[model_id] = list(self.gone)
        if model_id == "broken":
            raise LookupError("no such model")
        return Weights(model_id, self.gone)


async def test_a_model_is_loaded_once_for_all_who_ask_meanwhile_and_after() -> None:
    zoo = Zoo()
    models = await asyncio.gather(*(zoo.model("a") for _ in range(3)))
    assert (zoo.loaded, len({id(model) for model in models})) == (["a"], 1)
    assert await zoo.model("a") is models[0]


async def test_the_one_used_longest_ago_goes_before_the_next_is_loaded() -> None:
    zoo = Zoo()
    for model_id in ("a", "b", "a", "c"):
        await zoo.model(model_id)
    gc.collect()
    assert (zoo.gone, zoo.loaded, zoo.gone_before["c"]) == (["b"], ["a", "b", "c"], ["b"])


async def test_a_model_that_is_in_use_lives_on() -> None:
    zoo = Zoo()
    used = await zoo.model("a")
    await zoo.model("b")
    await zoo.model("c")
    assert zoo.gone == []
    del used
    gc.collect()
    assert zoo.gone == ["a"]


async def test_different_models_are_loaded_one_at_a_time() -> None:
    zoo = Zoo()
    await asyncio.gather(*(zoo.model(model_id) for model_id in "abcd"))
    assert zoo.most_at_once == 1


async def test_a_load_that_raises_does_so_for_all_and_is_tried_again() -> None:
    zoo = Zoo()
    raised = await asyncio.gather(*(zoo.model("broken") for _ in range(2)), return_exceptions=True)
    assert [type(error) for error in raised] == [LookupError] * 2
    with pytest.raises(LookupError):
        await zoo.model("broken")
    assert zoo.loaded == ["broken", "broken"]


async def test_who_asked_first_may_leave() -> None:
    zoo = Zoo()
    first, second = asyncio.create_task(zoo.model("a")), asyncio.create_task(zoo.model("a"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).model_id == "a"
    assert zoo.loaded == ["a"]


async def test_a_loader_may_ask_for_another_model() -> None:
    zoo = Zoo()
    await zoo.model("other")
    await asyncio.wait_for(zoo.model("adapter"), 5)
    assert zoo.loaded == ["other", "adapter", "base"]


def test_threads_load_a_model_once() -> None:
    zoo = Zoo()
    threads = [threading.Thread(target=zoo.plain, args=("a",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert zoo.loaded == ["a"]


def test_plain_loaders_let_go_and_try_again_as_well() -> None:
    zoo = Zoo()
    for model_id in ("a", "b", "c"):
        zoo.plain(model_id)
    assert (zoo.gone, zoo.gone_before["c"]) == (["a"], ["a"])
    for _ in range(2):
        with pytest.raises(LookupError):
            zoo.plain("broken")
    assert zoo.loaded[-2:] == ["broken", "broken"]


class Heard:
    """What routers would hear of the models."""

    def __init__(self) -> None:
        self.held: list[str] = []

    def hold(self, model_id: str) -> None:
        self.held.append(model_id)

    def release(self, model_id: str) -> None:
        self.held.remove(model_id)


async def test_routers_hear_what_is_held_and_what_is_not() -> None:
    zoo, heard = Zoo(), Heard()
    nothing: Any = None
    around = Surroundings(ReplicaContext("app", "A", "A#1"), asyncio.get_running_loop(), nothing, heard)
    current.set(RequestContext("r", surroundings=around))
    loading = asyncio.create_task(zoo.model("a"))
    await asyncio.sleep(0.0005)
    assert heard.held == ["a"], "before it is there"
    await loading
    for model_id in ("b", "c"):
        await zoo.model(model_id)
    with pytest.raises(LookupError):
        await zoo.model("broken")
    assert heard.held == ["c"]


@pytest.mark.parametrize("model_id", ["", None, 5, "x" * (LONGEST_MODEL_ID + 1)])
async def test_an_id_that_is_none_is_refused_with_the_way_to_give_one(model_id: Any) -> None:
    with pytest.raises(ValueError, match="multiplexed_model_id"):
        await Zoo().model(model_id)
    with pytest.raises(ValueError, match="mesh-multiplexed-model-id"):
        Zoo().plain(model_id)


@pytest.mark.parametrize("size", [0, -2, 1.5, True, None])
def test_a_number_of_models_that_is_not_allowed(size: int) -> None:
    with pytest.raises(ConfigError, match="max_num_models_per_replica"):
        multiplexed(max_num_models_per_replica=size)


def test_the_model_of_a_request_is_known_in_it_and_nowhere_else() -> None:
    assert get_multiplexed_model_id() == ""
    current.set(RequestContext("r", model_id="a"))
    assert get_multiplexed_model_id() == "a"
    current.set(None)


def test_an_object_that_takes_no_attributes_is_refused() -> None:
    class Slotted:
        __slots__ = ()

        @multiplexed
        def model(self, model_id: str) -> str:
            return model_id

    with pytest.raises(TypeError, match=r"Slotted.model needs an object that takes attributes"):
        Slotted().model("a")
