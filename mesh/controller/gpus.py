"""Which GPUs a replica sees. Pure; the devices are found where the controller starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import ceil


def assign(devices: Sequence[str], num_gpus: float, in_use: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The devices for one replica, those first that the fewest others use; a part of a GPU is one that is shared.

    None when the replica wants none. When it wants more than there are it gets all: nothing is ever refused for
    want of hardware, the user's own code says best what it cannot do without.
    """
    if num_gpus <= 0:
        return ()
    users = Counter(device for used in in_use for device in used)
    return tuple(sorted(devices, key=lambda device: users[device])[: ceil(num_gpus)])
