"""How many connections each bridge of a mesh has, in memory that they share: a new one goes to who has least.

Each bridge writes its own number and reads those of the others. What a dead bridge left there is wrong until it is
back, and costs a new connection no more than :data:`http_bridge.accepting.YIELD_S`.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

_SIZE: Final = 4
_ABSENT: Final = 2**32 - 1


class Counts:
    """The numbers of ``of`` bridges in the file ``path``, seen by the one of index ``own``. Close it at the end."""

    def __init__(self, path: str, own: int, of: int) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, of * _SIZE)
            self._memory = mmap.mmap(descriptor, of * _SIZE)
        finally:
            os.close(descriptor)
        self._numbers = memoryview(self._memory).cast("I")
        self._own = own
        self.tell(0)

    def tell(self, connections: int) -> None:
        """This bridge has that many."""
        self._numbers[self._own] = connections

    def has_least(self) -> bool:
        """No other bridge has fewer."""
        return self._numbers[self._own] <= min(self._numbers)

    def others(self) -> tuple[int, ...]:
        """The numbers of the other bridges."""
        return (*self._numbers[: self._own], *self._numbers[self._own + 1 :])

    def close(self) -> None:
        """This bridge takes no more connections; nobody leaves one to it."""
        self.tell(_ABSENT)
        self._numbers.release()
        self._memory.close()
