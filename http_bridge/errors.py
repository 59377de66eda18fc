"""What an HTTP client sees of an error: a status, and a text that names the exception's type and message."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException

from mesh.errors import (
    DeadlineExceeded,
    MeshError,
    MeshUnavailable,
    PayloadTooLarge,
    ReplicaDied,
    RequestCancelled,
    RequestRejected,
    UserCodeError,
)


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def text_answer(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    """``text`` as a response of its own."""
    body = text.encode(errors="replace")
    return Answer(
        status,
        [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain; charset=utf-8"), *headers],
        body,
    )


def error_answer(error: BaseException, *, debug: bool) -> Answer:
    """The response for an exception that a call ended with; ``debug`` adds the traceback of the user's code.

    A Starlette ``HTTPException`` says itself what it wants to be. What the user's code raised is 500, unless it is an
    error of the mesh that came up from a call below and means the same to this client: 408, 413, 502, 503.
    """
    if isinstance(error, HTTPException):
        extra = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (error.headers or {}).items()
        ]
        return text_answer(error.status_code, error.detail, *extra)
    detail = getattr(error, "__mesh_detail__", None)
    status = _status(error, came_from_replica=detail is not None)
    text = _type_and_message(error)
    if debug and status == 500 and detail is not None and detail.traceback:
        text = f"{text}\n\n{detail.traceback}"
    retry_after = [(b"retry-after", b"1")] if status == 503 else []
    return text_answer(status, _COLOUR.sub("", text).rstrip() + "\n", *retry_after)


def _status(error: BaseException, *, came_from_replica: bool) -> int:
    if isinstance(error, RequestCancelled):
        return 503  # the client still waits, so it was not the client who cancelled
    if isinstance(error, MeshError) and (isinstance(error, _MEANS_THE_SAME) or not came_from_replica):
        return error.http_status
    return 500


def _type_and_message(error: BaseException) -> str:
    if isinstance(error, MeshError) and not isinstance(error, UserCodeError):
        return f"{type(error).__name__}: {error}"
    detail = getattr(error, "__mesh_detail__", None)
    if detail is not None:
        name, message = detail.type_name, detail.message
    elif isinstance(error, UserCodeError):
        name, message = error.type_name, Exception.__str__(error)
    else:
        name, message = f"{type(error).__module__}.{type(error).__qualname__}", str(error)
    name = name.removeprefix("builtins.").removeprefix("__main__.")
    return f"{name}: {message}" if message else name


_MEANS_THE_SAME: Final = (DeadlineExceeded, MeshUnavailable, PayloadTooLarge, ReplicaDied, RequestRejected)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
