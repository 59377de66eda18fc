"""Publish and subscribe of whole values: who watches gets the present value now and the latest after every change.

A slow watcher skips what it was too slow for; it never sees an old value after a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Watch(Generic[K, V]):
    """Values by key. ``absent(known, key)`` gives the value of a key that has none."""

    def __init__(self, absent: Callable[[Mapping[K, V], K], V]) -> None:
        self._absent = absent
        self._values: Mapping[K, V] = {}
        self._published = asyncio.Event()

    def publish(self, values: Mapping[K, V]) -> None:
        """From now on these are all the values there are."""
        self._values = values
        published, self._published = self._published, asyncio.Event()
        published.set()

    def latest(self, key: K) -> V:
        """The present value of a key."""
        return self._values[key] if key in self._values else self._absent(self._values, key)

    async def subscribe(self, key: K) -> AsyncGenerator[V, None]:
        """The value of a key now and again whenever it differs from the one given last."""
        given = self.latest(key)
        yield given
        while True:
            published = self._published
            if (value := self.latest(key)) != given:
                given = value
                yield given
            else:
                await published.wait()
