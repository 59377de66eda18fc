"""The items of a stream that came as an argument, as they arrive in the replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh import connect, errors
from mesh.error_detail import decode_error
from mesh.outcome import Outcome
from mesh.payload import ERROR, Payload
from mesh.router.item_stream import ItemStream
from mesh.v1.payload_pb2 import ErrorDetail

if TYPE_CHECKING:
    from sidecar.session import ReplicaSession


class ArrivingItems:
    """Nothing is sent before it is asked for; each item that is taken lets more come.

    To the stream it is what a call of one's own is to the stream of its answer: see
    :class:`mesh.router.item_stream.Source`. So the user's code reads both in the same ways.
    """

    def __init__(self, session: ReplicaSession, call_id: int) -> None:
        self.session = self
        self.call_id = call_id
        self._stream = ItemStream(self)
        self._replica_session = session
        self._is_asked = False

    def outcome(self) -> Outcome:
        """What a :class:`mesh.response_generator.DeploymentResponseGenerator` reads."""
        connection = connect.default()
        assert connection is not None
        outcome = Outcome(connection, "a stream", "that came as an argument")
        outcome.call = self  # type: ignore[assignment] # of a call that has ended, only cancel is asked for
        outcome.ended(self._stream)
        return outcome

    # What the work says.

    def put(self, item: Payload) -> None:
        """An item has come, or what the stream ended with."""
        if item.encoding == ERROR:
            self._stream.close(decode_error(ErrorDetail.FromString(item.body)))
        else:
            self._stream.put(item)

    def close(self) -> None:
        """No further item comes."""
        self._stream.close(None)

    def cut(self) -> None:
        """The call that it came with is over."""
        self._stream.close(errors.RequestCancelled("the call that the stream came with is over"))

    # What the stream asks.

    def consumed(self, call_id: int, size_bytes: int, items: int) -> None:
        """So much was taken."""
        self._replica_session.consumed(call_id, size_bytes, items)

    def expect_item(self) -> None:
        """The user's code reads: the caller may send what it holds back."""
        if not self._is_asked:
            self._is_asked = True
            self._replica_session.ask_for_items(self.call_id)

    def expect_nothing(self) -> None:
        """How long the next item takes is watched where the stream comes from."""

    def cancel(self) -> None:
        """Nobody reads on. The caller notices when the call is over; until then it sends no more than it may."""
        self.cut()
