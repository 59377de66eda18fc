"""Both ends of a session as two tables of calls: what may be sent, what has arrived, what is left when it is cut.

Nothing here waits or sends. A shell (``mesh.router.session``, ``sidecar.session``) takes batches out of one end,
carries them, and puts them into the other; when one cannot be read, the session is cut. A call is a pair of item
streams; the usual call is one open frame with its payload one way and one reply frame back.

Order inside a batch: the kinds of frames are read in the order of the fields in ``replica.proto``, so frames of one
call arrive in the order in which they were sent. Sizes: no frame carries more than ``FRAME_BYTES``; a larger payload
goes in parts, and streams with something left take turns, so a large one never holds back the small ones for long.

Credit: an item may begin while the credit of its call is positive, and costs ``item_cost``; whoever consumes items
gives credit back. Arguments and results are not items: the one who asked for them has to hold them whole anyway.

Buffers: a payload may have large buffers beside its body. Where the other end can open shared memory, a frame says in
which segment one is; an offer stays in the end's table, and so in use, until a release frame comes. See
:mod:`mesh.segments`.

Files: ``caller`` and ``replica`` are the two ends, ``end`` is what both do, ``stream`` one call's payloads on their way
out, ``arrival`` one on its way in, ``columns`` frames in a batch, ``limits`` the sizes.
"""

from mesh.frames.caller import Answered, CallerEnd
from mesh.frames.limits import BATCH_BYTES, FRAME_BYTES, ITEM_OVERHEAD, WINDOW, item_cost
from mesh.frames.replica import Host, Opened, ReplicaEnd

__all__ = [
    "BATCH_BYTES",
    "FRAME_BYTES",
    "ITEM_OVERHEAD",
    "WINDOW",
    "Answered",
    "CallerEnd",
    "Host",
    "Opened",
    "ReplicaEnd",
    "item_cost",
]
