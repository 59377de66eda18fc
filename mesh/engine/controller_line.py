"""The engine's end of its line to the controller: requests come in, events go out, nothing blocks."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from google.protobuf.message import DecodeError

from mesh.engine.messages import Unpacker, pack
from mesh.v1 import engine_pb2 as pb


class ControllerLine:
    """One incarnation's line. What a dead controller did not read is lost; its successor asks what runs."""

    def __init__(
        self, selector: selectors.BaseSelector, line: socket.socket, on_request: Callable[[pb.EngineRequest], None]
    ) -> None:
        self._selector = selector
        self._line = line
        self._on_request = on_request
        self._unpacker = Unpacker()
        self._unsent = bytearray()
        line.setblocking(False)
        selector.register(line, selectors.EVENT_READ, self._on_ready)

    def send(self, event: pb.EngineEvent) -> None:
        """Tells the controller."""
        self._unsent += pack(event.SerializeToString())
        self._write()

    def close(self) -> None:
        """Ends the line."""
        if self._line.fileno() >= 0:
            self._selector.unregister(self._line)
            self._line.close()

    def _on_ready(self) -> None:
        if self._line.fileno() < 0:
            return  # closed since the selector saw it
        self._write()
        try:
            piece = self._line.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()  # its exit is noticed elsewhere
            return
        try:
            for message in self._unpacker.feed(piece):
                self._on_request(pb.EngineRequest.FromString(message))
        except (ValueError, DecodeError):
            self.close()

    def _write(self) -> None:
        if self._line.fileno() < 0:
            return
        try:
            while self._unsent:
                sent = self._line.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._line, wanted, self._on_ready)
