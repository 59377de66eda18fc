"""The mesh's token: every RPC carries it, and one interceptor checks it before anything of the message is decoded.

Who holds the token belongs to the mesh; payloads are pickles, so nobody else may be listened to.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

TOKEN_KEY = "x-mesh-token"  # noqa: S105 - the name of the metadata, not a token


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that a client sends with every RPC."""
    return ((TOKEN_KEY, token),)


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in the stubs only
    """Answers UNAUTHENTICATED to every RPC that does not carry ``token``."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        for key, value in handler_call_details.invocation_metadata or ():
            if key == TOKEN_KEY and isinstance(value, str) and hmac.compare_digest(value.encode(), self._token):
                return await continuation(handler_call_details)
        return _REFUSAL


async def _refuse(requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "this socket belongs to a mesh and the token is not its own")


# A streaming handler: it ends the RPC without having read a message, whatever kind of RPC it was.
_REFUSAL = grpc.stream_stream_rpc_method_handler(_refuse)
