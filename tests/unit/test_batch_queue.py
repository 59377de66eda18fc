"""When calls are enough for a batch, and which ones."""

from __future__ import annotations

from math import inf

import pytest

from mesh.batch_queue import BatchQueue, BatchSettings
from mesh.errors import ConfigError


def queue(size: int = 3, wait_s: float = 0.1) -> BatchQueue[str]:
    return BatchQueue(BatchSettings(size, wait_s))


def test_a_full_batch_need_not_wait() -> None:
    waiting = queue(size=2)
    waiting.put("a", "", 0.0)
    assert waiting.take(0.0, only_full=False) == []
    waiting.put("b", "", 0.0)
    waiting.put("c", "", 0.0)
    assert waiting.take(0.0, only_full=True) == ["a", "b"]
    assert (len(waiting), waiting.due_s()) == (1, 0.1)


def test_what_has_waited_long_enough_goes_with_what_is_there() -> None:
    waiting = queue()
    waiting.put("a", "", 0.0)
    waiting.put("b", "", 0.09)
    assert waiting.take(0.1, only_full=True) == []
    assert waiting.take(0.1, only_full=False) == ["a", "b"]
    assert waiting.due_s() == inf


def test_calls_of_different_lanes_share_no_batch() -> None:
    waiting = queue(size=2)
    for call, lane in (("a1", "a"), ("b1", "b"), ("a2", "a")):
        waiting.put(call, lane, 0.0)
    assert waiting.take(0.0, only_full=False) == ["a1", "a2"]
    assert waiting.take(0.1, only_full=False) == ["b1"]


def test_who_leaves_is_in_no_batch_and_holds_up_none() -> None:
    waiting = queue()
    waiting.put("a", "", 0.0)
    waiting.put("b", "", 0.05)
    waiting.leave("a")
    assert waiting.due_s() == pytest.approx(0.15)
    waiting.leave("b")
    waiting.leave("b")
    assert (len(waiting), waiting.take(1.0, only_full=False)) == (0, [])


def test_new_settings_hold_for_what_waits() -> None:
    settings = BatchSettings(10, 5.0)
    waiting: BatchQueue[str] = BatchQueue(settings)
    waiting.put("a", "", 0.0)
    settings.set_batch_wait_timeout_s(1.0)
    assert waiting.due_s() == 1.0
    settings.set_max_batch_size(1)
    assert waiting.take(0.0, only_full=True) == ["a"]


@pytest.mark.parametrize("size", [0, -1, 1.5, True, None, "2"])
def test_a_size_that_is_not_allowed(size: int) -> None:
    with pytest.raises(ConfigError, match="max_batch_size must be"):
        BatchSettings(1, 0.0).set_max_batch_size(size)


@pytest.mark.parametrize("seconds", [-0.1, inf, True, None, "1"])
def test_a_wait_that_is_not_allowed(seconds: float) -> None:
    with pytest.raises(ConfigError, match="batch_wait_timeout_s must be"):
        BatchSettings(1, 0.0).set_batch_wait_timeout_s(seconds)
