"""A replica's line to the controller: says what state the replica is in, hears what is wanted of it.

The line is a state, not a history: whenever it breaks, it is opened again and begins with the present state, so a
restart of the controller needs nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from mesh.config import DeploymentConfig
from mesh.errors import MeshError
from mesh.user_config import user_config_key
from mesh.v1 import controller_pb2 as pb
from sidecar.condition import Condition

FAILURE_DELIVERY_S = 5.0
"""How long a replica that cannot start tries to say why before it ends."""

_REATTACH_S = (0.1, 1.0)


class Line(Protocol):
    """Opens one line; :class:`mesh.client.ControllerClient` does."""

    def attach(self, reports: AsyncGenerator[pb.AttachRequest, None]) -> AsyncGenerator[pb.AttachResponse, None]:
        """Sends reports, gives commands; ends with ``reports``, raises a :class:`MeshError` when it breaks."""
        ...


class Registration:
    """Keeps a replica attached to the controller while it is open::

        async with Registration(client, replica_id, on_drain, on_configure) as registration:
            registration.starting(os.getpid())
            ...
            registration.ready(os.getpid(), address)

    ``on_drain(timeout_s)``, ``on_configure(config)`` and ``on_ask_policy(question)`` are called on the loop, each of
    them perhaps more than once with the same value: after every time that the line was opened again.
    """

    def __init__(
        self,
        client: Line,
        replica_id: str,
        on_drain: Callable[[float], None],
        on_configure: Callable[[DeploymentConfig], None],
        on_ask_policy: Callable[[pb.PolicyQuestion], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._replica_id = replica_id
        self._on_drain = on_drain
        self._on_configure = on_configure
        self._on_ask_policy = on_ask_policy
        self.repeat_s = DeploymentConfig().health_check_period_s
        """A replica that serves says so again after this time, to show that its loop goes on."""
        self._report: pb.AttachRequest | None = None
        self._changed = asyncio.Event()
        self._delivered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_attached(), name=f"registration of {self._replica_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))
        if not self._task.cancelled() and (failure := self._task.exception()) is not None:
            raise failure

    def starting(self, pid: int) -> None:
        """The user's object is being built."""
        self._say(pb.AttachRequest(starting=pb.ReplicaStarting(pid=pid)))

    def ready(
        self,
        pid: int,
        address: str,
        condition: pb.ReplicaCondition | None = None,
        policy_answer: pb.PolicyAnswer | None = None,
    ) -> None:
        """The replica serves at ``address``; said again when its condition changed or a policy answered."""
        ready = pb.ReplicaReady(pid=pid, address=address, condition=condition, policy_answer=policy_answer)
        self._say(pb.AttachRequest(ready=ready))

    def draining(self) -> None:
        """The replica takes nothing new any more and will exit."""
        self._say(pb.AttachRequest(draining=pb.ReplicaDraining()))

    async def failed(self, message: str, traceback: str) -> None:
        """The user's object could not be built; returns when the controller knows, or after five seconds."""
        self._say(pb.AttachRequest(failed=pb.ReplicaFailed(message=message, traceback=traceback)))
        with suppress(TimeoutError):  # then the controller sees the process end, and the output holds the traceback
            async with asyncio.timeout(FAILURE_DELIVERY_S):
                await self._delivered.wait()

    def _say(self, report: pb.AttachRequest) -> None:
        report.replica_id = self._replica_id
        self._report = report
        self._changed.set()

    async def _stay_attached(self) -> None:
        wait_s = _REATTACH_S[0]
        while not self._delivered.is_set():
            try:
                async for command in self._client.attach(self._reports()):
                    wait_s = _REATTACH_S[0]
                    self._obey(command)
                if self._report is not None and self._report.HasField("failed"):
                    self._delivered.set()  # the reports ended with it, and the controller has read them to their end
            except MeshError:
                pass  # the controller is gone for a moment; the engine brings it back
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _REATTACH_S[1])

    async def _reports(self) -> AsyncGenerator[pb.AttachRequest, None]:
        while True:
            if (report := self._report) is None:
                await self._changed.wait()
                continue
            self._changed.clear()
            yield report
            if report.HasField("failed"):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self.repeat_s if report.HasField("ready") else None):
                    await self._changed.wait()

    def _obey(self, command: pb.AttachResponse) -> None:
        match command.WhichOneof("command"):
            case "drain":
                self._on_drain(command.drain.timeout_s)
            case "configure":
                config = DeploymentConfig.from_proto(command.configure.config)
                self.repeat_s = config.health_check_period_s
                self._changed.set()  # what was to be said again after another time is said now
                self._on_configure(config)
            case "ask_policy":
                self._on_ask_policy(command.ask_policy)


def condition_message(condition: Condition) -> pb.ReplicaCondition:
    """How the user's object is, as it is told to the controller."""
    return pb.ReplicaCondition(
        user_config_sha256=user_config_key(condition.user_config),
        refused_sha256=user_config_key(condition.refused),
        refusal=condition.refusal,
        failed_checks=condition.failed_checks,
        check_failure=condition.check_failure,
    )
