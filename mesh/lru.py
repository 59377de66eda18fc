"""A bounded table that gives up what was used longest ago. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class LRU(Generic[V]):
    """Values by name, at most ``size`` of them; ``get`` is a use.

    >>> held: LRU[str] = LRU(2)
    >>> held.put("a", "A"), held.put("b", "B"), held.get("a"), held.make_room()
    (None, None, 'A', 'b')
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[str, V] = OrderedDict()

    def get(self, name: str) -> V | None:
        """The value, which is used now; None when it is not here."""
        value = self._values.get(name)
        if name in self._values:
            self._values.move_to_end(name)
        return value

    def put(self, name: str, value: V) -> None:
        """Take a value in; there must be room."""
        assert name in self._values or len(self._values) < self._size, f"no room for {name}: make_room comes first"
        self._values[name] = value
        self._values.move_to_end(name)

    def make_room(self) -> str | None:
        """Let what was used longest ago go when the table is full; its name, or None when there was room."""
        if len(self._values) < self._size:
            return None
        name, _ = self._values.popitem(last=False)
        return name

    def remove(self, name: str) -> None:
        """Let a value go."""
        self._values.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __len__(self) -> int:
        return len(self._values)
