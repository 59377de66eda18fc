"""``PredictService``: one gRPC request as one call of a deployment.

Requests arrive here as the bytes that they are, so that what cannot be read has an answer that says so; arguments and
results cross as bytes, and only the replica reads and writes them. Nothing is unpickled in this process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final, NoReturn, Protocol, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from mesh.config import DeploymentConfig
from mesh.context import LONGEST_MODEL_ID, RequestContext, encode_call_context, new_request_id
from mesh.deadline import after
from mesh.door.applications import Applications
from mesh.door.refusal import refusal
from mesh.errors import InvalidArgument, MeshError, MeshUnavailable, PayloadTooLarge
from mesh.payload import DOOR_CALL, Payload
from mesh.router.item_stream import ItemStream
from mesh.router.router import Router
from mesh.v1 import payload_pb2, predict_pb2
from mesh.v1.predict_pb2 import PredictRequest, PredictStreamRequest

_log = logging.getLogger(__name__)

JSON: Final = "application/json"
MODEL_ID_KEY: Final = "mesh-multiplexed-model-id"
PREDICT_SERVICE: Final = predict_pb2.DESCRIPTOR.services_by_name["PredictService"].full_name

_Request = TypeVar("_Request", PredictRequest, PredictStreamRequest)
_DEFAULT_CONFIG: Final = DeploymentConfig()


class Context(Protocol):
    """What the door needs of gRPC's context of one request."""

    def time_remaining(self) -> float | None: ...

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...

    async def abort(
        self, code: grpc.StatusCode, details: str, trailing_metadata: tuple[tuple[str, bytes], ...]
    ) -> NoReturn: ...


class Door:
    """The service. ``router`` gives the router of (application, deployment); ``debug_errors`` shows tracebacks."""

    def __init__(self, applications: Applications, router: Callable[[str, str], Router], *, debug_errors: bool) -> None:
        self._applications = applications
        self._router = router
        self._debug_errors = debug_errors

    async def predict(self, wire: bytes, context: Context) -> bytes:
        """A serialized ``PredictRequest`` in, a serialized ``PredictResponse`` out."""
        request_id = new_request_id()
        try:
            result = await self._call(_read(PredictRequest, wire), request_id, context)
            if isinstance(result, Payload):
                return result.body
            result.cancel()
            raise InvalidArgument("the method yields its answer item by item: call PredictStream", "method")
        except Exception as error:
            await self._refuse(error, request_id, context)

    async def predict_stream(self, wire: bytes, context: Context) -> AsyncIterator[bytes]:
        """A serialized ``PredictStreamRequest`` in, serialized ``PredictStreamResponse`` messages out."""
        request_id = new_request_id()
        try:
            result = await self._call(_read(PredictStreamRequest, wire), request_id, context)
            if isinstance(result, Payload):
                yield result.body
                return
            try:
                async for item in result:
                    yield item.body
            finally:
                result.cancel()
        except Exception as error:
            await self._refuse(error, request_id, context)

    async def _call(
        self, request: PredictRequest | PredictStreamRequest, request_id: str, context: Context
    ) -> Payload | ItemStream:
        timeout_s = context.time_remaining()
        router = self._router(*await self._applications.find(request.application, request.deployment))
        config = router.config or await _first_config(router)
        if len(request.body) > config.max_body_bytes:
            raise PayloadTooLarge(
                f"the body has {len(request.body)} bytes, and {router.name} takes at most {config.max_body_bytes} "
                "(max_body_bytes)"
            )
        model_id = _model_id(context)
        call = payload_pb2.DoorCall(is_json=_is_json(request.content_type), body=request.body)
        future = router.call(
            request.method or ("predict" if "predict" in router.methods else "__call__"),
            Payload(DOOR_CALL, call.SerializeToString()),
            RequestContext(request_id, after(timeout_s), model_id=model_id, wire=encode_call_context("", (), model_id)),
        )
        return await future

    async def _refuse(self, error: Exception, request_id: str, context: Context) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if not isinstance(error, MeshError):
            _log.error("the door failed request_id=%s", request_id, exc_info=error)
        code, message, details = refusal(error, request_id, debug=self._debug_errors)
        await context.abort(code, message, (("grpc-status-details-bin", details),))


def _read(kind: type[_Request], wire: bytes) -> _Request:
    try:
        return kind.FromString(wire)
    except DecodeError as error:
        raise InvalidArgument(
            f"the message is no mesh.v1.{kind.DESCRIPTOR.name}: {error}; generate the client from protos/mesh/v1", ""
        ) from None


def _model_id(context: Context) -> str:
    """The multiplexed model that the client wants."""
    sent = dict(context.invocation_metadata() or ()).get(MODEL_ID_KEY, "")
    return str(sent)[:LONGEST_MODEL_ID]


def _is_json(content_type: str) -> bool:
    return not content_type or content_type.partition(";")[0].strip().lower() == JSON


async def _first_config(router: Router) -> DeploymentConfig:
    """The limits that hold for the first request of a deployment, too."""
    try:
        async with asyncio.timeout(_DEFAULT_CONFIG.request_timeout_s):
            return await router.wait_config() or _DEFAULT_CONFIG
    except TimeoutError:
        raise MeshUnavailable("the door does not know the settings of the deployment yet") from None


def handler(door: Door) -> grpc.GenericRpcHandler[Any, Any]:
    """The door for a server, without (de)serializers: it reads and writes bytes."""
    return grpc.method_handlers_generic_handler(
        PREDICT_SERVICE,
        {
            "Predict": grpc.unary_unary_rpc_method_handler(door.predict),
            "PredictStream": grpc.unary_stream_rpc_method_handler(door.predict_stream),
        },
    )
