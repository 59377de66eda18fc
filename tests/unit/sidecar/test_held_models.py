"""What routers hear of the models of a replica."""

from __future__ import annotations

import asyncio

from mesh.frames import CallerEnd, ReplicaEnd
from mesh.loops import crossing_to
from sidecar.held_models import HeldModels


async def test_a_change_is_told_and_what_is_none_is_not() -> None:
    told: list[tuple[str, ...]] = []
    models = HeldModels(crossing_to(asyncio.get_running_loop()), lambda: told.append(models.ids))
    for hold, release in (("a", ""), ("a", ""), ("b", ""), ("", "a"), ("", "a")):
        if hold:
            models.hold(hold)
        else:
            models.release(release)
        await asyncio.sleep(0)
    assert told == [("a",), ("a", "b"), ("b",)]


def test_the_models_go_with_a_batch_of_their_own_and_with_no_other() -> None:
    replica, caller = ReplicaEnd(None), CallerEnd()  # type: ignore[arg-type]
    assert replica.take(0) is None
    for models in (("a", "b"), ()):
        replica.models = models
        batch = replica.take(0)
        assert batch is not None
        caller.receive(batch)
        assert (caller.models, replica.take(0)) == (frozenset(models), None)
