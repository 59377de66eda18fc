"""A client that leaves in the very moment in which something else happens."""

from __future__ import annotations

from starlette.types import Message

from http_bridge.client import Client, ClientGone
from http_bridge.long_waits import LongWaits


async def _never() -> Message:
    raise AssertionError("nobody has to listen")


async def test_client_that_left_as_the_first_item_came_cancels_the_stream() -> None:
    client = Client(_never, 1000, LongWaits(), has_body=False)
    cancelled: list[str] = []
    client.cancel_when_gone(lambda: cancelled.append("the call, which has its first item and is past that"))
    client.fail(ClientGone())
    client.cancel_when_gone(lambda: cancelled.append("the stream"))
    assert cancelled[1:] == ["the stream"]
    client.stop_listening()
