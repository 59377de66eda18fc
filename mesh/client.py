"""The controller as its clients see it; the only user of its stub.

Everything here runs on the loop on which the client was made. Watches give the whole state again after every change
and reconnect for ever, so a restart of the controller is nothing that their readers notice.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection
from contextlib import suppress
from typing import Protocol, TypeVar

import grpc
import grpc.aio

from mesh.config import Application, ApplicationSpec
from mesh.errors import ConfigError, DeploymentNotFound, MeshError, MeshUnavailable, PayloadTooLarge
from mesh.token import metadata
from mesh.v1 import controller_pb2 as pb
from mesh.v1 import controller_pb2_grpc, endpoint_pb2

LARGEST_MESSAGE_BYTES = 512 * 1024 * 1024
"""An application with its pickled code and arguments has to fit."""

ANSWER_TIMEOUT_S = 30.0
"""How long Apply, Delete and GetStatus wait for a controller that is being restarted."""

_RECONNECT_S = (0.1, 1.0)
_LOOK_AGAIN_S = 0.002

CHANNEL_OPTIONS = (
    # gRPC would wait up to 120 s before it tries again; the controller is back after a fraction of a second.
    ("grpc.initial_reconnect_backoff_ms", int(_RECONNECT_S[0] * 1000)),
    ("grpc.min_reconnect_backoff_ms", int(_RECONNECT_S[0] * 1000)),
    ("grpc.max_reconnect_backoff_ms", int(_RECONNECT_S[1] * 1000)),
    ("grpc.max_send_message_length", LARGEST_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),
    # The default shares connections between channels of a process; each client owns its own.
    ("grpc.use_local_subchannel_pool", 1),
)

_ERRORS: dict[grpc.StatusCode, type[MeshError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ConfigError,
    grpc.StatusCode.NOT_FOUND: DeploymentNotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: PayloadTooLarge,
}
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)

_Message_co = TypeVar("_Message_co", covariant=True)
_Response = TypeVar("_Response")
_Value = TypeVar("_Value")


class _Stream(Protocol[_Message_co]):
    """What a streaming call of gRPC gives, as far as it is used here."""

    def __aiter__(self) -> AsyncGenerator[_Message_co, None]: ...

    def cancel(self) -> bool: ...


class ControllerClient:
    """Speaks to the controller of one mesh; made and used on one loop, closed with :meth:`close`."""

    def __init__(self, run_directory: str, token: str) -> None:
        self._socket = f"{run_directory}/controller.sock"
        self._channel = grpc.aio.insecure_channel(f"unix:{self._socket}", options=CHANNEL_OPTIONS)
        self._stub = controller_pb2_grpc.ControllerServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated
        self._metadata = metadata(token)
        self._closed = False

    async def apply(self, application: Application) -> int:
        """Stores the application and gives the revision from which on statuses speak of it.

        Raises :class:`ConfigError` when the controller refuses it, :class:`MeshUnavailable` when there is none.
        """
        request = pb.ApplyRequest(
            application=application.spec.to_proto(),
            blobs=[pb.Blob(sha256=name, content=content) for name, content in application.blobs.items()],
        )
        if (size_bytes := request.ByteSize()) > LARGEST_MESSAGE_BYTES:
            raise PayloadTooLarge(
                f"application {application.spec.name!r} holds {size_bytes} bytes of code and constructor arguments; "
                f"at most {LARGEST_MESSAGE_BYTES} are allowed: load large objects in the constructor instead"
            )
        response: pb.ApplyResponse = await self._answer(self._stub.Apply, request)
        return response.revision

    async def delete(self, name: str) -> int:
        """Takes the application away; raises :class:`DeploymentNotFound` when there is none of that name."""
        response: pb.DeleteResponse = await self._answer(self._stub.Delete, pb.DeleteRequest(application=name))
        return response.revision

    async def scale(self, application: str, deployment: str, num_replicas: int) -> int:
        """Wishes for that many replicas; raises :class:`DeploymentNotFound` for a deployment that is not there."""
        request = pb.ScaleRequest(application=application, deployment=deployment, num_replicas=num_replicas)
        response: pb.ScaleResponse = await self._answer(self._stub.Scale, request)
        return response.revision

    async def rollback(self, application: str) -> int:
        """Wishes for what ran before; raises :class:`ConfigError` when there is nothing of the kind."""
        request = pb.RollbackRequest(application=application)
        response: pb.RollbackResponse = await self._answer(self._stub.Rollback, request)
        return response.revision

    async def events(self) -> tuple[pb.Event, ...]:
        """What has happened, as far back as the controller remembers; the oldest first."""
        response: pb.GetEventsResponse = await self._answer(self._stub.GetEvents, pb.GetEventsRequest())
        return tuple(response.events)

    def watch_events(self, after: int) -> AsyncGenerator[tuple[pb.Event, ...], None]:
        """What has happened after the event of that number, and then what happens, each event once."""
        seen = after

        def new(response: pb.WatchEventsResponse) -> tuple[pb.Event, ...]:
            nonlocal seen
            seen = response.events[-1].number
            return tuple(response.events)

        return self._watch(
            lambda: self._stub.WatchEvents(pb.WatchEventsRequest(after=seen), metadata=self._metadata), new
        )

    async def applications(self) -> tuple[ApplicationSpec, ...]:
        """What is wished for, those being deleted left out."""
        response: pb.GetApplicationsResponse = await self._answer(
            self._stub.GetApplications, pb.GetApplicationsRequest()
        )
        return tuple(ApplicationSpec.from_proto(application) for application in response.applications)

    async def blobs(self, names: Collection[str]) -> dict[str, bytes]:
        """The blobs of those names, as far as the mesh still has them."""
        if not names:
            return {}
        response: pb.GetBlobsResponse = await self._answer(self._stub.GetBlobs, pb.GetBlobsRequest(sha256=names))
        return {blob.sha256: blob.content for blob in response.blobs}

    async def status(self) -> pb.Status:
        """What is wished for and what is there."""
        response: pb.GetStatusResponse = await self._answer(self._stub.GetStatus, pb.GetStatusRequest())
        return response.status

    def watch_status(self) -> AsyncGenerator[pb.Status, None]:
        """The status now and again after every change."""
        return self._watch(
            lambda: self._stub.WatchStatus(pb.WatchStatusRequest(), metadata=self._metadata),
            lambda response: response.status,
        )

    def watch_endpoints(self, application: str, deployment: str) -> AsyncGenerator[endpoint_pb2.EndpointSet, None]:
        """The endpoint set of a deployment now and after every change; one that is not there gives a deleted set."""
        request = pb.WatchEndpointsRequest(application=application, deployment=deployment)
        return self._watch(
            lambda: self._stub.WatchEndpoints(request, metadata=self._metadata),
            lambda response: response.endpoint_set,
        )

    def watch_routes(self) -> AsyncGenerator[tuple[endpoint_pb2.Route, ...], None]:
        """All routes now and after every change."""
        return self._watch(
            lambda: self._stub.WatchRoutes(pb.WatchRoutesRequest(), metadata=self._metadata),
            lambda response: tuple(response.routes),
        )

    async def attach(self, reports: AsyncIterable[pb.AttachRequest]) -> AsyncGenerator[pb.AttachResponse, None]:
        """One line of a replica to the controller: its reports there, what is wanted of it back.

        It ends when ``reports`` end and the controller has read them; raises :class:`MeshUnavailable` when it breaks.
        """
        call = self._stub.Attach(reports, metadata=self._metadata)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise _rebuilt(error) from None
        finally:
            call.cancel()

    async def report_demand(self, reports: AsyncIterable[pb.ReportDemandRequest]) -> None:
        """One line of a process that routes; its demand counts until this ends.

        It ends when ``reports`` end; raises :class:`MeshUnavailable` when the line breaks.
        """
        call = self._stub.ReportDemand(reports, metadata=self._metadata)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            raise _rebuilt(error) from None
        finally:
            call.cancel()

    async def close(self) -> None:
        """Ends all calls and watches of this client."""
        self._closed = True
        await self._channel.close(None)

    async def _answer(self, method: Callable[..., Awaitable[_Response]], request: object) -> _Response:
        if not await self._has_socket():
            raise MeshUnavailable(f"the controller cannot be reached: it has made no socket in {ANSWER_TIMEOUT_S:g} s")
        try:
            return await method(request, metadata=self._metadata, timeout=ANSWER_TIMEOUT_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise _rebuilt(error) from None

    async def _has_socket(self) -> bool:
        """Wait for the first controller of a mesh that is just starting: gRPC would look again only after 100 ms."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while not os.path.exists(self._socket):  # noqa: ASYNC110, ASYNC240 - another process makes it
                    await asyncio.sleep(_LOOK_AGAIN_S)
                return True
        return False

    async def _watch(
        self, start: Callable[[], _Stream[_Response]], value: Callable[[_Response], _Value]
    ) -> AsyncGenerator[_Value, None]:
        wait_s = _RECONNECT_S[0]
        await self._has_socket()
        while not self._closed:
            call = start()
            try:
                async for response in call:
                    wait_s = _RECONNECT_S[0]
                    yield value(response)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _GONE:
                    raise _rebuilt(error) from None
            finally:
                call.cancel()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _RECONNECT_S[1])


def _rebuilt(error: grpc.aio.AioRpcError) -> MeshError:
    """The error of the mesh behind a gRPC status."""
    if error.code() in _GONE:
        return MeshUnavailable(f"the controller cannot be reached: {error.details()}")
    return _ERRORS.get(error.code(), MeshUnavailable)(error.details() or error.code().name)
