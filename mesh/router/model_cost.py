"""What it costs to send a call for a multiplexed model to a replica. Pure.

A replica that holds the model is cheaper, but not at any price: when its queue has become longer than that of another
by :data:`LOAD_WORTH`, the other one loads the model, too, so that a hot model spreads. Of replicas that are equal in
this, each router takes the same one for the same model, so that routers that know nothing of each other load it once.
"""

from __future__ import annotations

from zlib import crc32

from mesh.router.picker import Cost

LOAD_WORTH = 8
"""So many requests may wait longer at a replica that holds the model than at one that would have to load it."""


def model_cost(model_id: str, replica_id: str, queue_length: float, *, holds: bool) -> Cost:
    """The cost of one candidate for one model: the cheapest of all candidates is picked."""
    return queue_length + (0 if holds else LOAD_WORTH), crc32(f"{model_id}\0{replica_id}".encode())
