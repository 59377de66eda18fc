"""The multiplexed models that a replica holds: routers hear of them, and prefer it for requests that want one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mesh.loops import Crossing


class HeldModels:
    """Ids of models that are there or being loaded, by whichever loader. ``hold`` and ``release`` from any thread."""

    def __init__(self, crossing: Crossing, on_change: Callable[[], object]) -> None:
        self.ids: tuple[str, ...] = ()
        """Of the loop alone."""
        self._crossing = crossing
        self._on_change = on_change
        self._holders: Counter[str] = Counter()

    def hold(self, model_id: str) -> None:
        """A loader has it, or is about to."""
        self._crossing.put(self._count, (model_id, 1))

    def release(self, model_id: str) -> None:
        """That loader has it no longer."""
        self._crossing.put(self._count, (model_id, -1))

    def _count(self, change: tuple[str, int]) -> None:
        model_id, holders = change
        self._holders[model_id] += holders
        if not self._holders[model_id]:
            del self._holders[model_id]
        ids = tuple(self._holders)
        if ids != self.ids:
            self.ids = ids
            self._on_change()
