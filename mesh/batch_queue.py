"""Calls that wait to be made together, and when they are enough for a batch. Pure: ``now_s`` is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from mesh.errors import ConfigError

C = TypeVar("C")


@dataclass(slots=True)
class BatchSettings:
    """How many calls a batch has at most, and how many seconds its first call waits for others. May be changed."""

    max_batch_size: int
    batch_wait_timeout_s: float

    def set_max_batch_size(self, value: int) -> None:
        """Raises :class:`ConfigError` for anything but a whole number of at least 1."""
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"max_batch_size must be a whole number of at least 1, not {value!r}")
        self.max_batch_size = value

    def set_batch_wait_timeout_s(self, value: float) -> None:
        """Raises :class:`ConfigError` for anything but a number of seconds of at least 0."""
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < inf:
            raise ConfigError(f"batch_wait_timeout_s must be a number of seconds of at least 0, not {value!r}")
        self.batch_wait_timeout_s = value


class BatchQueue(Generic[C]):
    """Calls in the order in which they came. Only those of equal ``lane``, such as a model's id, share a batch."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._lanes: dict[str, deque[tuple[C, float]]] = {}  # none is empty; calls with the moments at which they came

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def put(self, call: C, lane: str, now_s: float) -> None:
        """A call came."""
        self._lanes.setdefault(lane, deque()).append((call, now_s))

    def leave(self, call: C) -> None:
        """Nobody waits for that call any more; one that is in a batch already is not here."""
        for name, lane in self._lanes.items():
            for waiting in lane:
                if waiting[0] is call:
                    lane.remove(waiting)
                    if not lane:
                        del self._lanes[name]
                    return

    def take(self, now_s: float, *, only_full: bool) -> list[C]:
        """The calls of the next batch; empty when they are too few for now. A full batch need not wait."""
        for name, lane in self._lanes.items():
            size = self._settings.max_batch_size
            is_due = not only_full and lane[0][1] + self._settings.batch_wait_timeout_s <= now_s
            if is_due or len(lane) >= size:
                batch = [lane.popleft()[0] for _ in range(min(size, len(lane)))]
                if not lane:
                    del self._lanes[name]
                return batch
        return []

    def due_s(self) -> float:
        """The moment at which the call that came first has waited long enough; inf when none waits."""
        came_s = min((lane[0][1] for lane in self._lanes.values()), default=inf)
        return came_s + self._settings.batch_wait_timeout_s
