"""The two sides of carrying: who carries, and whose bytes they are."""

from __future__ import annotations

from typing import Protocol

LARGEST_BATCH_BYTES = 16 * 1024 * 1024
"""More than any batch that a session makes; whoever sends more is no session."""


class Passenger(Protocol):
    """One end of a session, as its carrier knows it. All methods are called on the loop that runs gRPC."""

    def take(self) -> bytes | None:
        """The next batch to send; None when there is nothing to say."""
        ...

    def arrived(self, batch: bytes) -> None:
        """A batch came from the other end."""
        ...

    def lost(self, error: BaseException | None) -> None:
        """The carrier has ended, by itself or by :meth:`Carrier.close`; comes once, and last."""
        ...


class Carrier(Protocol):
    """Carries batches both ways until it is closed or lost."""

    is_local: bool
    """Both ends are processes of this host and of this user, which may share memory."""

    def wake(self) -> None:
        """There may be something to take. What is given in the same tick goes out in few batches."""
        ...

    def close(self) -> None:
        """End it; what was taken and not sent yet may be lost."""
        ...
