"""Messages on a stream socket, each behind its length as four bytes, big-endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator

LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024

_LENGTH = struct.Struct("!I")


def pack(message: bytes) -> bytes:
    """The message as it goes on the stream."""
    if len(message) > LARGEST_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(message)} bytes; at most {LARGEST_MESSAGE_BYTES} are allowed")
    return _LENGTH.pack(len(message)) + message


class Unpacker:
    """Turns the pieces that a socket gives back into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The messages that are complete with this piece."""
        self._buffer += piece
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > LARGEST_MESSAGE_BYTES:
                raise ValueError(
                    f"a message of {length} bytes is announced; at most {LARGEST_MESSAGE_BYTES} are allowed"
                )
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            message = bytes(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield message
