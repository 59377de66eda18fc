"""ControllerService: turns RPCs into events and publications into streams. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from math import inf
from typing import Any, NoReturn

import grpc
import grpc.aio

from mesh.clock import Clock
from mesh.config import Application, DeploymentConfig
from mesh.controller.controller import Controller
from mesh.controller.demand import Demand, DeploymentKey, Reported
from mesh.controller.events import Detached, Said, Silent
from mesh.controller.policies import Answered, Question
from mesh.controller.rows import entry_message
from mesh.controller.state import Condition, ReplicaEvent
from mesh.controller.story import Story
from mesh.controller.views import Orders
from mesh.errors import MeshError
from mesh.v1 import controller_pb2 as pb
from mesh.v1 import controller_pb2_grpc

SHORTEST_SILENCE_S = 3.0
"""A loop that has not come round for less than this may be on a busy machine, whatever the settings say."""

LOOKS = 6
"""So often it is looked for words of a replica in the time that it may be silent."""

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(slots=True)
class _Line:
    """One line of a replica: what it said last, and whether it has said anything since that was asked.

    ``answered`` is the number of the last question that its policy has answered; 0 = none.
    """

    number: int
    said: Said | None = None
    answered: int = 0
    is_heard: bool = False


class ControllerServicer(controller_pb2_grpc.ControllerServiceServicer):
    """The RPCs of one controller."""

    def __init__(self, controller: Controller, clock: Clock) -> None:
        self._controller = controller
        self._publisher = controller.publisher
        self._clock = clock
        self._lines = count(1)

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        """Answers when the application is stored."""
        try:
            revision = await self._controller.apply(Application.from_proto(request))
        except MeshError as error:
            await _abort(context, error)
        return pb.ApplyResponse(revision=revision)

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        """Answers when the wish is stored; the replicas drain after that."""
        try:
            revision = await self._controller.delete(request.application)
        except MeshError as error:
            await _abort(context, error)
        return pb.DeleteResponse(revision=revision)

    async def Scale(self, request: pb.ScaleRequest, context: Context) -> pb.ScaleResponse:
        """Answers when the wish is stored; replicas come and go after that."""
        try:
            revision = await self._controller.scale(request.application, request.deployment, request.num_replicas)
        except MeshError as error:
            await _abort(context, error)
        return pb.ScaleResponse(revision=revision)

    async def Rollback(self, request: pb.RollbackRequest, context: Context) -> pb.RollbackResponse:
        """Answers when the wish is stored; replicas come and go after that."""
        try:
            revision = await self._controller.rollback(request.application)
        except MeshError as error:
            await _abort(context, error)
        return pb.RollbackResponse(revision=revision)

    async def GetEvents(self, request: pb.GetEventsRequest, context: Context) -> pb.GetEventsResponse:
        """What has happened so far."""
        return pb.GetEventsResponse(events=_told(self._publisher.stories.latest(""), 0))

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchEventsResponse, None]:
        """What has happened after the event of that number, and then what happens."""
        told = self._publisher.stories.latest("").told
        seen = request.after if request.after <= told else 0  # the numbers of a story that was lost with its controller
        async for story in self._publisher.stories.subscribe(""):
            if events := _told(story, seen):
                seen = story.told
                yield pb.WatchEventsResponse(events=events)

    async def GetApplications(self, request: pb.GetApplicationsRequest, context: Context) -> pb.GetApplicationsResponse:
        """What is wished for at this moment."""
        state, *_ = self._publisher.states.latest("")
        wished = [one.spec.to_proto() for one in state.applications.values() if not one.deleting]
        return pb.GetApplicationsResponse(applications=wished)

    async def GetBlobs(self, request: pb.GetBlobsRequest, context: Context) -> pb.GetBlobsResponse:
        """Blobs by their names; one that nobody wishes for any more is left out."""
        found = await self._controller.blobs(set(request.sha256))
        return pb.GetBlobsResponse(blobs=[pb.Blob(sha256=name, content=content) for name, content in found.items()])

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """The status of this moment."""
        return pb.GetStatusResponse(status=self._publisher.status(*self._publisher.states.latest("")))

    async def WatchStatus(
        self, request: pb.WatchStatusRequest, context: Context
    ) -> AsyncGenerator[pb.WatchStatusResponse, None]:
        """The status now and after every change."""
        async for published in self._publisher.states.subscribe(""):
            yield pb.WatchStatusResponse(status=self._publisher.status(*published))

    async def WatchEndpoints(
        self, request: pb.WatchEndpointsRequest, context: Context
    ) -> AsyncGenerator[pb.WatchEndpointsResponse, None]:
        """The endpoint set of one deployment now and after every change."""
        key = (request.application, request.deployment)
        async for endpoint_set in self._publisher.endpoints.subscribe(key):
            yield pb.WatchEndpointsResponse(endpoint_set=endpoint_set)

    async def WatchRoutes(
        self, request: pb.WatchRoutesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchRoutesResponse, None]:
        """All routes now and after every change."""
        async for routes in self._publisher.routes.subscribe(""):
            yield pb.WatchRoutesResponse(routes=routes)

    async def Attach(self, requests: AsyncIterator[pb.AttachRequest], context: Context) -> None:
        """One line of a replica: what it says becomes events, what is wanted of it is sent back."""
        line = _Line(next(self._lines))
        tasks: list[asyncio.Task[None]] = []
        try:
            async for request in requests:
                if (said := said_in(request, line.number)) is None:
                    continue
                line.is_heard = True
                answer = request.ready.policy_answer
                if answer.number != line.answered:  # every word after it has it again
                    line.answered = answer.number
                    self._controller.post(Answered(answer.number, answer.replicas, answer.failure))
                if said != line.said:  # a replica repeats itself to show that it goes on
                    line.said = said
                    self._controller.post(said)
                if not tasks:
                    tasks.append(asyncio.create_task(self._send_orders(said.replica_id, context)))
                    tasks.append(asyncio.create_task(self._listen_for_silence(said.replica_id, line)))
        finally:
            if line.said is not None:
                self._controller.post(Detached(line.said.replica_id, line.number))
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, grpc.RpcError, asyncio.InvalidStateError):
                    await task

    async def _listen_for_silence(self, replica_id: str, line: _Line) -> None:
        """Post :class:`Silent` when a replica that serves has not repeated itself for longer than it may be held up.

        Time counts in small steps: when this process itself was held up, all that was said meanwhile is read first.
        """
        silent_s = 0.0
        while True:
            config = self._publisher.orders.latest(replica_id).config or DeploymentConfig()
            limit_s = max(SHORTEST_SILENCE_S, config.health_check_period_s + config.health_check_timeout_s)
            await asyncio.sleep(limit_s / LOOKS)
            serves = line.said is not None and line.said.event is ReplicaEvent.SAID_READY
            silent_s = 0.0 if line.is_heard or not serves else silent_s + limit_s / LOOKS
            line.is_heard = False
            if silent_s >= limit_s:
                self._controller.post(Silent(replica_id, line.number, silent_s))
                return

    async def _send_orders(self, replica_id: str, context: Context) -> None:
        sent = Orders(None)
        async for orders in self._publisher.orders.subscribe(replica_id):
            if orders.config is not None and (orders.config, orders.asked) != (sent.config, sent.asked):
                await context.write(pb.AttachResponse(configure=pb.ConfigureCommand(config=orders.config.to_proto())))
            if orders.drain_by_s < inf and sent.drain_by_s == inf:
                timeout_s = max(0.0, orders.drain_by_s - self._clock.now_s())
                await context.write(pb.AttachResponse(drain=pb.DrainCommand(timeout_s=timeout_s)))
            if orders.question is not None and orders.question != sent.question:
                await context.write(pb.AttachResponse(ask_policy=_question(orders.question)))
            sent = orders

    async def ReportDemand(
        self, requests: AsyncIterator[pb.ReportDemandRequest], context: Context
    ) -> pb.ReportDemandResponse:
        """What one process has under way; its demand is none when the stream ends, however it does."""
        line = next(self._lines)
        try:
            async for request in requests:
                self._controller.post(Reported(line, demands_in(request)))
        finally:
            self._controller.post(Reported(line, {}))
        return pb.ReportDemandResponse()


def demands_in(request: pb.ReportDemandRequest) -> dict[DeploymentKey, Demand]:
    """What a process reported, by deployment."""
    return {
        (demand.application, demand.deployment): Demand(demand.ongoing, demand.without_replica)
        for demand in request.demands
    }


def _question(question: Question) -> pb.PolicyQuestion:
    return pb.PolicyQuestion(
        number=question.number,
        num_replicas=question.num_replicas,
        running_replicas=question.running_replicas,
        ongoing_requests=question.ongoing,
    )


def said_in(request: pb.AttachRequest, line: int) -> Said | None:
    """What a replica said, as an event; None for what this version does not understand."""
    match request.WhichOneof("event"):
        case "starting":
            return Said(request.replica_id, line, ReplicaEvent.SAID_STARTING, pid=request.starting.pid)
        case "ready":
            condition = _condition(request.ready.condition)
            return Said(request.replica_id, line, ReplicaEvent.SAID_READY, pid=request.ready.pid, condition=condition)
        case "failed":
            failure = "\n".join(part for part in (request.failed.message, request.failed.traceback) if part)
            return Said(request.replica_id, line, ReplicaEvent.SAID_FAILED, failure=failure)
        case "draining":
            return Said(request.replica_id, line, ReplicaEvent.SAID_DRAINING)
        case _:
            return None


def _told(story: Story, after: int) -> list[pb.Event]:
    return [entry_message(entry) for entry in story.after(after)]


def _condition(message: pb.ReplicaCondition) -> Condition:
    return Condition(
        user_config=message.user_config_sha256,
        refused=message.refused_sha256,
        refusal=message.refusal,
        failed_checks=message.failed_checks,
        check_failure=message.check_failure,
    )


async def _abort(context: Context, error: MeshError) -> NoReturn:
    await context.abort(grpc.StatusCode[error.grpc_code], str(error))
    raise AssertionError("abort raises")
