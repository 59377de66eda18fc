"""The sizes that both ends of a session agree on."""

from __future__ import annotations

FRAME_BYTES = 256 * 1024
"""The most that one frame carries; a larger payload goes in parts."""
BATCH_BYTES = 1024 * 1024
"""A batch that holds this much is finished."""
DIRECT_BYTES = BATCH_BYTES - FRAME_BYTES
"""A batch in which frames that need no turn fill this much is finished; the rest is for the streams in turn."""
WINDOW = 256 * 1024
"""Credit for the items of a call: what a replica may send ahead, and what a caller may after the first credit frame."""
ITEM_OVERHEAD = 1024
"""What an item costs beside its size, so that tiny items are bounded in number too."""
FRAME_OVERHEAD = 64
"""What a frame counts in a batch beside its payload, so that tiny frames also fill a batch."""


def item_cost(size_bytes: int) -> int:
    """The credit that an item of that size costs."""
    return size_bytes + ITEM_OVERHEAD
