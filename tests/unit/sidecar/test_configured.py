"""Which user_config the user's object has, whatever is wished for meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mesh.config import MethodKind
from sidecar.configured import Configured
from sidecar.user_code import BoundMethod, ConstructionFailed


class UserCode:
    """An object whose ``reconfigure`` refuses 0, and waits for leave."""

    def __init__(self, has_reconfigure: bool = True) -> None:
        self.has_reconfigure = has_reconfigure
        self.calls: list[Any] = []
        self.leave = asyncio.Event()
        self.leave.set()

    def method(self, name: str) -> BoundMethod | None:
        assert name == "reconfigure"
        return BoundMethod(self.reconfigure, MethodKind.ASYNC_DEF, False) if self.has_reconfigure else None

    async def reconfigure(self, user_config: Any) -> None:
        self.calls.append(user_config)
        await self.leave.wait()
        if user_config == 0:
            raise ValueError("not nothing")

    async def call(self, method: BoundMethod, *args: Any) -> None:
        """In the place of the hooks."""
        await method.function(*args)


def configured(code: UserCode, wished: str) -> Configured:
    stand_in: Any = code
    return Configured(stand_in, stand_in, wished)


async def test_the_one_that_was_wished_for_last_is_taken_before_the_start() -> None:
    code = UserCode()
    code.leave.clear()
    state = configured(code, "1")
    beginning = asyncio.create_task(state.begin())
    await asyncio.sleep(0)
    state.wish("2")
    state.wish("3")
    code.leave.set()
    await beginning
    assert (code.calls, state.taken) == ([1, 3], "3")


@pytest.mark.parametrize("has_reconfigure", [True, False])
async def test_what_cannot_be_taken_before_the_start_fails_it(has_reconfigure: bool) -> None:
    with pytest.raises(ConstructionFailed):
        await configured(UserCode(has_reconfigure), "0").begin()


async def test_without_one_nothing_is_called() -> None:
    code = UserCode()
    await configured(code, "").begin()
    assert code.calls == []


async def test_a_refusal_keeps_the_old_one_and_goes_with_the_next_that_is_taken() -> None:
    code = UserCode()
    state = configured(code, "1")
    await state.begin()
    told: list[tuple[str, str]] = []
    async with state.followed(lambda: told.append((state.taken, state.refused))):
        for wished in (1, 0, 0, 1, 2):
            state.wish(json.dumps(wished))
            await state.wait_settled()
    assert code.calls == [1, 0, 0, 1, 2], "the same again is nothing new, but after a refusal it is"
    assert told == [("1", "0"), ("1", "0"), ("1", ""), ("2", "")]
    assert state.refusal == ""
