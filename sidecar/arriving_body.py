"""The body of a long HTTP request, as it arrives in the replica."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mesh.payload import Payload

if TYPE_CHECKING:
    from sidecar.session import ReplicaSession


class ArrivingBody:
    """The items of a call's arguments. Nothing is sent before it is asked for; each one taken lets more come."""

    def __init__(self, session: ReplicaSession, call_id: int) -> None:
        self._session = session
        self._call_id = call_id
        self._items: deque[bytes] = deque()
        self._is_closed = False
        self._is_asked = False
        self._changed = asyncio.Event()

    def put(self, item: Payload) -> None:
        """A piece has come."""
        self._items.append(item.body)
        self._changed.set()

    def close(self) -> None:
        """No further item comes."""
        self._is_closed = True
        self._changed.set()

    def cut(self) -> None:
        """The call is over, and whoever reads with it."""

    def __aiter__(self) -> ArrivingBody:
        return self

    async def __anext__(self) -> bytes:
        if not self._is_asked:
            self._is_asked = True
            self._session.ask_for_items(self._call_id)
        while not self._items:
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        body = self._items.popleft()
        self._session.consumed(self._call_id, len(body))
        return body
