"""Frames into the columns of a batch and out of them; a column that holds only defaults is left out.

A frame is a plain tuple in the order of the columns: nothing in a session is made more often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from mesh.v1 import payload_pb2, replica_pb2
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse

PICKLE = payload_pb2.ENCODING_PICKLE
PART: int = replica_pb2.OPEN_FLAG_PART
ITEMS_FOLLOW: int = replica_pb2.OPEN_FLAG_ITEMS_FOLLOW

OpenFrame: TypeAlias = tuple[int, bytes, int, int, int, str, bytes, int]
"""Call, payload, number of the method, encoding, milliseconds to the deadline, request id, context, flags."""
ItemFrame: TypeAlias = tuple[int, bytes, int, bool]
"""Call, payload, encoding, whether the payload is a part."""
ReplyFrame: TypeAlias = tuple[int, bytes, int]
"""Call, payload, encoding."""


def put_opens(batch: SessionRequest, frames: list[OpenFrame]) -> None:
    ids, payloads, methods, encodings, timeouts_ms, request_ids, contexts, flags = zip(*frames, strict=True)
    batch.open_ids.extend(ids)
    batch.open_payloads.extend(payloads)
    batch.open_request_ids.extend(request_ids)
    if any(methods):
        batch.open_methods.extend(methods)
    if _any_but_pickle(encodings):
        batch.open_encodings.extend(encodings)
    if any(timeouts_ms):
        batch.open_timeouts_ms.extend(timeouts_ms)
    if any(contexts):
        batch.open_contexts.extend(contexts)
    if any(flags):
        batch.open_flags.extend(flags)


def opens(batch: SessionRequest) -> Iterator[OpenFrame]:
    ids = batch.open_ids[:]  # a slice is a list, which is read twice as fast
    return zip(
        ids,
        batch.open_payloads[:],
        batch.open_methods[:] or [0] * len(ids),
        batch.open_encodings[:] or [PICKLE] * len(ids),
        batch.open_timeouts_ms[:] or [0] * len(ids),
        batch.open_request_ids[:],
        batch.open_contexts[:] or [b""] * len(ids),
        batch.open_flags[:] or [0] * len(ids),
        strict=True,
    )


def put_items(batch: SessionRequest | SessionResponse, frames: list[ItemFrame]) -> None:
    ids, payloads, encodings, parts = zip(*frames, strict=True)
    batch.item_ids.extend(ids)
    batch.item_payloads.extend(payloads)
    if _any_but_pickle(encodings):
        batch.item_encodings.extend(encodings)
    if any(parts):
        batch.item_parts.extend(parts)


def items(batch: SessionRequest | SessionResponse) -> Iterator[ItemFrame]:
    ids = batch.item_ids[:]
    return zip(
        ids,
        batch.item_payloads[:],
        batch.item_encodings[:] or [PICKLE] * len(ids),
        batch.item_parts[:] or [False] * len(ids),
        strict=True,
    )


def put_replies(batch: SessionResponse, frames: list[ReplyFrame]) -> None:
    ids, payloads, encodings = zip(*frames, strict=True)
    batch.reply_ids.extend(ids)
    batch.reply_payloads.extend(payloads)
    if _any_but_pickle(encodings):
        batch.reply_encodings.extend(encodings)


def replies(batch: SessionResponse) -> Iterator[ReplyFrame]:
    ids = batch.reply_ids[:]
    return zip(ids, batch.reply_payloads[:], batch.reply_encodings[:] or [PICKLE] * len(ids), strict=True)


def _any_but_pickle(encodings: Sequence[int]) -> bool:
    return encodings.count(PICKLE) < len(encodings)
