"""Arguments that are not at hand yet: results of other calls, requests to be read, large buffers to be copied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mesh import errors
from mesh.connect import Connection
from mesh.outcome import Outcome, Result
from mesh.passed_stream import items_to_send, stands_for_items
from mesh.payload import Encoded, Payload
from mesh.response import payload_of
from mesh.response_generator import DeploymentResponseGenerator
from mesh.router.call import Call
from mesh.router.item_stream import ItemStream
from mesh.segments.buffer import Buffer
from mesh.segments.copying import keep_aside


class Gathering:
    """Waits for the payloads of what a call's arguments mention, on the loop that runs gRPC, then sends the call."""

    __slots__ = ("_call", "_connection", "_encoded", "_left", "_payloads")

    def __init__(self, connection: Connection, call: Call, encoded: Encoded) -> None:
        self._connection = connection
        self._call = call
        self._encoded = encoded
        self._payloads: list[Payload] = [Payload(0, b"")] * len(encoded.attached)
        self._left = len(encoded.attached) + bool(encoded.loose)

    def start(self, _: None) -> None:
        if self._encoded.loose:
            copying = keep_aside(self._encoded.loose, lambda: self._call.is_over)
            self._connection.loop.create_task(copying).add_done_callback(self._copied)
        for number, value in enumerate(self._encoded.attached):
            outcome = getattr(value, "outcome", None)
            if isinstance(outcome, Outcome):
                outcome.when_ended(lambda n=number, o=outcome: self._on_loop(n, o.result()))  # type: ignore[misc]
            else:
                reading = self._connection.loop.create_task(payload_of(value))
                reading.add_done_callback(lambda task, n=number: self._read(n, task))  # type: ignore[misc]

    def _copied(self, task: asyncio.Task[Sequence[Buffer]]) -> None:
        if task.cancelled():
            self._call.end(errors.RequestCancelled("the copying of its arguments was cancelled"))
        elif (error := task.exception()) is not None:
            self._call.end(error)  # unless it is over already, which stops the copying
        else:
            self._encoded = self._encoded.kept(task.result())
            self._one_less()

    def _on_loop(self, number: int, result: Result) -> None:
        self._connection.on_loop(self._arrived, (number, result))

    def _read(self, number: int, task: asyncio.Task[Payload]) -> None:
        if task.cancelled():
            self._arrived((number, errors.RequestCancelled("reading the request was cancelled")))
        else:
            self._arrived((number, task.exception() or task.result()))

    def _arrived(self, arrival: tuple[int, Result]) -> None:
        number, result = arrival
        if isinstance(result, ItemStream):
            result = self._begin_stream(self._encoded.attached[number])
        if isinstance(result, BaseException):
            self._call.end(result)
            return
        self._payloads[number] = result
        self._one_less()

    def _one_less(self) -> None:
        self._left -= 1
        if self._left == 0 and not self._call.is_over:
            try:
                self._call.payload = self._encoded.with_payloads(self._payloads)
            except errors.PayloadTooLarge as error:
                self._call.end(error)
            else:
                self._connection.submit(self._call)

    def _begin_stream(self, value: Any) -> Payload | errors.PayloadError:
        """Have the items of a stream follow the arguments, and give what stands for it among them."""
        stream = value if isinstance(value, DeploymentResponseGenerator) else value.generator()
        if self._call.items is not None:
            return errors.PayloadError(
                f"two streams are arguments of one call of {self._call.router.name}.{self._call.method}, which can "
                "take one: read one of them and pass its items, or make a call for each"
            )
        try:
            self._call.items = items_to_send(stream.give())
        except errors.PayloadError as error:
            return error
        return stands_for_items()
