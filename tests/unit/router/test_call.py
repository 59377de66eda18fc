"""A call whose replica says what no replica should say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mesh import errors
from mesh.payload import PICKLE
from mesh.router.call import Call


class _Ending:
    """Who made the call."""

    def __init__(self) -> None:
        self.results: list[Any] = []

    def read_error(self, detail: Any) -> BaseException:
        return errors.UserCodeError(detail.message)

    def routed(self) -> None: ...

    def ended(self, result: Any) -> None:
        self.results.append(result)


async def test_reader_of_a_stream_does_not_wait_for_ever_when_a_whole_answer_follows_its_items() -> None:
    router: Any = SimpleNamespace(name="app/Model")
    ending = _Ending()
    call = Call(router, "items", ending, None)
    call.item(PICKLE, b"1")
    call.replied(PICKLE, b"whole")
    (stream,) = ending.results
    assert (await anext(stream)).body == b"1"
    with pytest.raises(errors.MeshError, match=r"app/Model\.items sent a whole answer after items"):
        await anext(stream)
    assert call.is_over
