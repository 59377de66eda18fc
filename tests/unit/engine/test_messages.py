from __future__ import annotations

import pytest

from mesh.engine import messages
from mesh.engine.messages import Unpacker, pack

MESSAGES = [b"first", b"", b"x" * 1000]


@pytest.mark.parametrize("size", [1, 3, 5, 7, 1024], ids=lambda size: f"in pieces of {size} bytes")
def test_messages_come_out_as_they_went_in(size: int) -> None:
    stream = b"".join(map(pack, MESSAGES))
    unpacker = Unpacker()

    found = [
        message for start in range(0, len(stream), size) for message in unpacker.feed(stream[start : start + size])
    ]

    assert found == MESSAGES


def test_an_unfinished_message_is_kept_back() -> None:
    assert list(Unpacker().feed(pack(b"message")[:-1])) == []


def test_a_message_over_the_limit_is_refused_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(b"12345")
    monkeypatch.setattr(messages, "LARGEST_MESSAGE_BYTES", 4)

    with pytest.raises(ValueError, match="a message of 5 bytes; at most 4 are allowed"):
        pack(b"12345")
    with pytest.raises(ValueError, match="a message of 5 bytes is announced"):
        list(Unpacker().feed(packed))
