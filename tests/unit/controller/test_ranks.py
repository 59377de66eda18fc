"""Which rank a new replica gets, and which replicas go when there are fewer ranks."""

from __future__ import annotations

import pytest

from mesh.controller.ranks import missing_ranks, without_place
from mesh.controller.state import Replica, ReplicaState

STARTING, RUNNING = ReplicaState.STARTING, ReplicaState.RUNNING


def replicas(*ranks: tuple[int, ReplicaState]) -> list[Replica]:
    return [Replica(f"A#{rank}", "app", "A", "r", rank=rank, state=state) for rank, state in ranks]


@pytest.mark.parametrize(
    ("num_replicas", "taken", "missing"),
    [
        pytest.param(3, (), [0, 1, 2], id="the first replicas count from 0"),
        pytest.param(3, (0, 2), [1], id="who takes a place takes its rank"),
        pytest.param(2, (0, 1), [], id="nobody is missing"),
        pytest.param(1, (1,), [0], id="one of a higher rank is not in the place of a lower one"),
    ],
)
def test_the_ranks_that_nobody_has(num_replicas: int, taken: tuple[int, ...], missing: list[int]) -> None:
    assert missing_ranks(num_replicas, replicas(*((rank, RUNNING) for rank in taken))) == missing


@pytest.mark.parametrize(
    ("num_replicas", "live", "gone"),
    [
        pytest.param(2, ((0, RUNNING), (1, RUNNING), (2, RUNNING)), [2], id="the highest go"),
        pytest.param(1, ((0, STARTING), (1, RUNNING)), [], id="one that runs stays while its better is starting"),
        pytest.param(1, ((1, RUNNING), (2, RUNNING)), [2], id="the lowest of them stays"),
        pytest.param(1, ((0, STARTING), (1, STARTING)), [1], id="one that does not run helps nobody"),
        pytest.param(2, ((0, RUNNING), (1, RUNNING)), [], id="nobody is too many"),
    ],
)
def test_who_has_to_go(num_replicas: int, live: tuple[tuple[int, ReplicaState], ...], gone: list[int]) -> None:
    assert [replica.rank for replica in without_place(num_replicas, replicas(*live))] == gone
