"""What is given up when there is no room."""

from __future__ import annotations

import pytest

from mesh.lru import LRU


def filled(size: int, *names: str) -> LRU[str]:
    table: LRU[str] = LRU(size)
    for name in names:
        table.make_room()
        table.put(name, name.upper())
    return table


def test_what_was_used_longest_ago_goes_first() -> None:
    table = filled(2, "a", "b")
    table.get("a")
    assert table.make_room() == "b"
    assert ("a" in table, "b" in table, len(table)) == (True, False, 1)


def test_nothing_goes_while_there_is_room() -> None:
    assert filled(2, "a").make_room() is None


def test_a_value_that_is_none_is_there() -> None:
    table: LRU[None] = LRU(1)
    table.put("a", None)
    assert ("a" in table, table.get("a"), table.get("b")) == (True, None, None)


def test_nothing_is_put_where_there_is_no_room() -> None:
    with pytest.raises(AssertionError, match="no room"):
        filled(1, "a").put("b", "B")


def test_a_value_may_be_replaced_and_removed() -> None:
    table = filled(1, "a")
    table.put("a", "other")
    assert table.get("a") == "other"
    table.remove("a")
    table.remove("a")
    assert len(table) == 0
