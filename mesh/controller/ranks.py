"""The rank of a replica: a number from 0 that no other live replica of its revision has. Pure.

It is given at the launch and kept until the end; who takes the place of a replica takes its rank. So with ``n``
replicas the ranks are 0 to n-1, which user code may divide its work by.
"""

from __future__ import annotations

from collections.abc import Sequence

from mesh.controller.state import Replica, ReplicaState


def missing_ranks(num_replicas: int, live: Sequence[Replica]) -> list[int]:
    """The ranks that nobody has, lowest first."""
    taken = {replica.rank for replica in live}
    return [rank for rank in range(num_replicas) if rank not in taken]


def without_place(num_replicas: int, live: Sequence[Replica]) -> list[Replica]:
    """The replicas that have to go because their rank is too high.

    Those that run stay in for lower ranks whose replica is not ready yet: fewer replicas must not mean none.
    """
    placed = sum(replica.rank < num_replicas and replica.state is ReplicaState.RUNNING for replica in live)
    over = sorted((replica for replica in live if replica.rank >= num_replicas), key=lambda replica: replica.rank)
    running = [replica for replica in over if replica.state is ReplicaState.RUNNING]
    standing_in = running[: num_replicas - placed]
    return [replica for replica in over if replica not in standing_in]
