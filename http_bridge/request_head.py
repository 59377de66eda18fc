"""What the bridge itself reads in the head of a request; everything else is the business of the user's code."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.types import Scope

from mesh.context import LONGEST_MODEL_ID, new_request_id


class RequestHead(NamedTuple):
    """The headers that mean something to the bridge."""

    request_id: str
    traceparent: str
    timeout: bytes | None
    content_length: int
    has_body: bool
    model_id: str = ""

    def timeout_s(self, configured_s: float | None) -> float | None:
        """Seconds until the request is given up: ``X-Request-Timeout-Seconds`` shortens what is configured.

        Raises ``HTTPException`` with 400 for a value that is no positive number.
        """
        if self.timeout is None:
            return configured_s
        try:
            asked_s = float(self.timeout)
        except ValueError:
            asked_s = math.nan
        if not 0 < asked_s < math.inf:
            raise HTTPException(400, f"X-Request-Timeout-Seconds must be a positive number, not {self.timeout!r}\n")
        return asked_s if configured_s is None else min(asked_s, configured_s)


def read_head(scope: Scope) -> RequestHead:
    """The head of the request of an ASGI scope. An id or a trace context that is malformed counts as absent."""
    headers = {name: value for name, value in scope["headers"] if name in _NAMES}
    if not headers:
        return RequestHead(new_request_id(), "", None, 0, False)
    request_id = headers.get(b"x-request-id", b"")
    traceparent = headers.get(b"traceparent", b"")
    length = headers.get(b"content-length", b"")
    return RequestHead(
        request_id=request_id.decode() if _REQUEST_ID.fullmatch(request_id) else new_request_id(),
        traceparent=traceparent.decode() if _TRACEPARENT.fullmatch(traceparent) else "",
        timeout=headers.get(b"x-request-timeout-seconds"),
        content_length=int(length) if length.isdigit() else 0,
        has_body=bool(length) or b"transfer-encoding" in headers,
        model_id=_model_id(headers),
    )


def _model_id(headers: Mapping[bytes, bytes]) -> str:
    """The multiplexed model that the client wants: ``mesh-multiplexed-model-id``, or as Ray Serve spells it."""
    sent = headers.get(b"mesh-multiplexed-model-id") or headers.get(b"serve_multiplexed_model_id", b"")
    return sent.decode("latin-1")[:LONGEST_MODEL_ID]


_NAMES: Final = frozenset(
    (
        b"x-request-id",
        b"x-request-timeout-seconds",
        b"traceparent",
        b"content-length",
        b"transfer-encoding",
        b"mesh-multiplexed-model-id",
        b"serve_multiplexed_model_id",
    )
)
_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
