"""The items of a call's answer, between the loop that runs gRPC and whoever reads them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mesh.payload import Payload


class Credit(Protocol):
    """A session, as far as credit is concerned."""

    def consumed(self, call_id: int, size_bytes: int, items: int) -> None: ...


class Source(Protocol):
    """The call that a stream's items come by."""

    @property
    def session(self) -> Credit | None: ...

    @property
    def call_id(self) -> int: ...

    def expect_item(self) -> None:
        """Whoever reads waits for the next item."""

    def expect_nothing(self) -> None:
        """Nobody waits for an item."""

    def cancel(self) -> None:
        """Nobody reads on."""


class ItemStream:
    """The items of a call's answer, in order, as they come; those that are taken let the replica send more.

    Items come on the loop that runs gRPC, where the stream is also an async iterator of payloads. From any other
    thread they are read with :meth:`take`, :meth:`has_ended` and :meth:`when_changed`; what was taken is told to
    :meth:`taken` or :meth:`wanted` on that loop, many items at once.
    """

    __slots__ = ("_call", "_is_closed", "_items", "_on_change", "error", "is_clocked")

    def __init__(self, call: Source) -> None:
        self.error: BaseException | None = None
        """What the stream ended with, when it did not end well."""
        self.is_clocked = True
        """The time between items runs from item to item; if not, from :meth:`wanted` to the next item."""
        self._call = call
        self._items: deque[Payload] = deque()
        self._is_closed = False
        self._on_change: Callable[[], object] | None = None

    # On the loop that runs gRPC.

    def put(self, item: Payload) -> None:
        """An item has come."""
        self._items.append(item)
        self._changed()

    def close(self, error: BaseException | None) -> None:
        """No further item comes; those that are here can still be read, then ``error`` is due."""
        if self._is_closed:
            return
        self.error = error
        self._is_closed = True
        self._changed()

    def unclock(self) -> None:
        """Count time only while somebody waits for an item: a slow reader is no reason to end the call."""
        self.is_clocked = False
        self._call.expect_nothing()

    def taken(self, consumed: tuple[int, int]) -> None:
        """So many items, of so many bytes together, were taken."""
        call, (items, size_bytes) = self._call, consumed
        if items and call.session is not None:
            call.session.consumed(call.call_id, size_bytes, items)

    def wanted(self, consumed: tuple[int, int]) -> None:
        """So much was taken, and whoever reads waits for more: from now on the time runs."""
        self.taken(consumed)
        if self._on_change is not None and not self._is_closed:
            self._call.expect_item()

    def __aiter__(self) -> ItemStream:
        return self

    async def __anext__(self) -> Payload:
        while (item := self.take()) is None:
            if self.has_ended():
                if self.error is not None:
                    raise self.error
                raise StopAsyncIteration
            waiter = asyncio.get_running_loop().create_future()
            self.when_changed(lambda waiter=waiter: waiter.done() or waiter.set_result(None))  # type: ignore[misc]
            await waiter
        self.taken((1, item.size_bytes))
        return item

    def cancel(self) -> None:
        """Nobody reads on: the replica's code is cancelled."""
        self._call.cancel()

    # From any thread, one at a time.

    def take(self) -> Payload | None:
        """The next item, when it is here."""
        return self._items.popleft() if self._items else None

    def has_ended(self) -> bool:
        """No item is here and none will come."""
        return self._is_closed and not self._items

    def when_changed(self, callback: Callable[[], object]) -> None:
        """Have ``callback`` called when there is an item or the end, perhaps twice: now, or on the loop of gRPC."""
        self._on_change = callback
        # What came before the line above has not seen the callback; what comes after it will.
        if self._items or self._is_closed:
            self._changed()

    def _changed(self) -> None:
        callback, self._on_change = self._on_change, None
        if callback is not None:
            callback()
