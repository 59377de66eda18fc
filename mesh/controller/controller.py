"""The one task that changes the state: event -> state -> sizes -> reconcile -> store -> publish -> perform.

Everything that can happen is an event in one inbox, so nothing here needs a lock. What is decided is decided in
``events.py`` and ``reconcile.py``; what is decided upon is stored before it is done. Only ends need not be stored: a
replica that hangs is killed, and a mesh that is told to stop drains, also while the store cannot be written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from math import inf
from typing import Any

from google.protobuf.message import DecodeError

from mesh.clock import Clock
from mesh.config import Application
from mesh.controller.autoscaler import Autoscaler
from mesh.controller.demand import Reported
from mesh.controller.events import (
    Applied,
    Deleted,
    Ended,
    Event,
    Launched,
    Listed,
    RolledBack,
    Scaled,
    StopRequested,
    apply,
)
from mesh.controller.inbox import Inbox
from mesh.controller.launches import launch_request, remove_sockets
from mesh.controller.policies import Answered
from mesh.controller.publisher import Publisher
from mesh.controller.reconcile import Action, Kill, Launch, Step, end_overdue, reconcile
from mesh.controller.rows import Key, blob_names, from_rows, story_changes, story_from_rows, to_rows
from mesh.controller.state import MeshState
from mesh.controller.store import Store, StoreUnwritable, unusable
from mesh.controller.story import Story, continued
from mesh.engine.launcher import Launcher, LaunchFailed
from mesh.errors import ConfigError, MeshError

WishEvent = Applied | Deleted | Scaled | RolledBack

_log = logging.getLogger(__name__)

STORE_AGAIN_S = 1.0
"""After so long a store that could not be written is tried again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that somebody waits for: ``stored`` gets the revision that holds it, or the error that refused it."""

    event: WishEvent
    stored: asyncio.Future[int]
    blobs: dict[str, bytes] = field(default_factory=dict)


ScalingEvent = Reported | Answered
Posted = Event | Wish | ScalingEvent
"""What can be in the inbox."""


class Controller:
    """Keeps what is wished for true, from :meth:`start` until :meth:`run` returns.

    The launcher must post an :class:`Ended` event into ``inbox`` for every end of a process.
    """

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        clock: Clock,
        inbox: Inbox[Posted],
        run_directory: str,
        gpus: Sequence[str] = (),
        epoch_s: Callable[[], float] = time.time,
    ) -> None:
        self.publisher = Publisher(run_directory, clock)
        self._store = store
        self._launcher = launcher
        self._clock = clock
        self._inbox = inbox
        self._run_directory = run_directory
        self._gpus = gpus
        self._epoch_s = epoch_s
        self._story = Story()
        self._stored_story = Story()
        self._state = MeshState()
        self._revision = 0
        self._stored: dict[Key, bytes] = {}
        self._autoscaler = Autoscaler(clock.now_s())
        self._reconcile_at_s = -inf
        self._wake_at_s = inf
        self._unwritable = ""
        self._performing: set[asyncio.Task[None]] = set()

    async def start(self, is_first: bool = False) -> None:
        """Takes over what the controller before this one left: its rows, and the replicas that still run.

        Raises :class:`mesh.controller.store.StoreUnusable` for rows that say nothing.

        The first controller of an engine need not ask it: nothing runs yet, and the engine is still busy importing.
        """
        self._revision, rows = await self._store.load()
        self._stored = {key: row for key, row in rows.items() if key[0] != "event"}
        try:
            self._stored_story = self._story = story_from_rows(rows)
            self._state = from_rows(self._stored, self._clock.now_s())
        except (DecodeError, ConfigError, ValueError) as error:
            raise unusable(self._store.folder, f"{type(error).__name__}: {error}") from error
        await self._step([Listed({} if is_first else await self._launcher.list())])

    async def run(self) -> None:
        """Works until all replicas have ended after :meth:`stop`."""
        try:
            while not (self._state.stopping and not self._state.replicas):
                await self._step(await self._inbox.next(self._clock, self._wake_at_s))
        finally:
            for task in self._performing:
                task.cancel()
            await asyncio.gather(*self._performing, return_exceptions=True)

    async def apply(self, application: Application) -> int:
        """Stores an application as wished for; raises :class:`mesh.errors.ConfigError` when it cannot be."""
        return await self._stored_wish(Applied(application.spec), dict(application.blobs))

    async def delete(self, name: str) -> int:
        """Takes an application away; raises :class:`mesh.errors.DeploymentNotFound` when it is not there."""
        return await self._stored_wish(Deleted(name), {})

    async def scale(self, application: str, deployment: str, num_replicas: int) -> int:
        """Wishes for that many replicas; raises :class:`mesh.errors.DeploymentNotFound` for what is not there."""
        return await self._stored_wish(Scaled(application, deployment, num_replicas), {})

    async def rollback(self, application: str) -> int:
        """Wishes for what ran before; raises :class:`mesh.errors.ConfigError` when there is nothing of the kind."""
        return await self._stored_wish(RolledBack(application), {})

    async def blobs(self, names: Set[str]) -> dict[str, bytes]:
        """Those of the blobs that an application which is wished for names."""
        return await self._store.read_blobs(names & blob_names(self._state))

    def post(self, event: Event | ScalingEvent) -> None:
        """Something happened."""
        self._inbox.post(event)

    def stop(self) -> None:
        """Drains all replicas; what is wished for stays in the store."""
        self.post(StopRequested())

    async def _stored_wish(self, event: WishEvent, blobs: dict[str, bytes]) -> int:
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._inbox.post(Wish(event, stored, blobs))
        return await stored

    async def _step(self, events: Sequence[Posted]) -> None:
        now_s = self._clock.now_s()
        before = self._state
        state, happened, accepted = self._taken_in(events, now_s)
        sizes = self._autoscaler.step(state, now_s)
        if sizes.state is before and not happened and now_s < self._reconcile_at_s:  # as most reports of demand end
            self._publish()
            self._wake_at_s = self._next_look_s(sizes.look_at_s)
            return
        step = reconcile(sizes.state, now_s, self._gpus)
        story = continued(self._story, before, step.state, happened, self._epoch_s())
        outcome: int | MeshError
        try:
            await self._save(step.state, story, {name: blob for wish in accepted for name, blob in wish.blobs.items()})
        except StoreUnwritable as error:
            outcome = StoreUnwritable(f"{error}; nothing was changed")
            happened = [event for event in happened if not isinstance(event, WishEvent)]
            step = self._unwritten(before, happened, now_s)
            # Without the wishes, or in a while, there may be room enough for the rest.
            step = replace(step, wake_at_s=now_s if accepted else min(step.wake_at_s, now_s + STORE_AGAIN_S))
            story = continued(self._story, before, step.state, happened, self._epoch_s())
        else:
            outcome = self._revision
        self._state, self._story, self._reconcile_at_s = step.state, story, step.wake_at_s
        self._wake_at_s = self._next_look_s(sizes.look_at_s)
        self._publish()
        self.publisher.stories.publish({"": self._story})
        for wish in accepted:
            _answer(wish, outcome)
        for action in step.actions:
            self._perform(action)
        for ended in before.replicas.keys() - self._state.replicas.keys():
            remove_sockets(self._run_directory, ended)

    def _publish(self) -> None:
        self.publisher.publish(self._state, self._revision, self._autoscaler.questions, self._unwritable)

    def _next_look_s(self, look_at_s: float) -> float:
        """While nothing can be stored no size can change: then only the next try counts."""
        return self._reconcile_at_s if self._unwritable else min(self._reconcile_at_s, look_at_s)

    def _taken_in(self, events: Sequence[Posted], now_s: float) -> tuple[MeshState, list[Event], list[Wish]]:
        """The state after what came, what of that happened to it, and the wishes in it; others are refused."""
        state = self._state
        happened: list[Event] = []
        accepted: list[Wish] = []
        for event in events:
            if isinstance(event, Wish):
                try:
                    state = apply(state, event.event, now_s)
                    accepted.append(event)
                    happened.append(event.event)
                except MeshError as error:
                    _answer(event, error)
            elif isinstance(event, ScalingEvent):
                self._autoscaler.take(event, now_s)
            else:
                state = apply(state, event, now_s)
                happened.append(event)
        return state, happened, accepted

    def _unwritten(self, before: MeshState, happened: Sequence[Event], now_s: float) -> Step:
        """What is done without the store: what has happened is true all the same, and what has to end is ended.

        What is wished for is refused; what would be begun has to wait. A mesh that is being stopped begins nothing.
        """
        state = reduce(lambda state, event: apply(state, event, now_s), happened, before)
        return reconcile(state, now_s, self._gpus) if state.stopping else end_overdue(state, now_s)

    async def _save(self, state: MeshState, story: Story, blobs: dict[str, bytes]) -> None:
        rows = to_rows(state)
        changes: dict[Key, bytes | None] = {key: row for key, row in rows.items() if self._stored.get(key) != row}
        changes |= dict.fromkeys(self._stored.keys() - rows.keys())
        if not (changes or blobs):
            self._unwritable = ""  # nothing waits for it any more
            return  # what is new in the story alone is written with the next change
        changes |= story_changes(self._stored_story, story)
        try:
            self._revision = await self._store.save(self._revision, changes, blobs)
        except StoreUnwritable as error:
            if not self._unwritable:  # once, not at every try
                _log.error("%s; trying again every_s=%g", error, STORE_AGAIN_S)
            self._unwritable = f"{error}; until it can be, nothing new is started and no change is taken"
            raise
        self._unwritable = ""
        self._stored, self._stored_story = rows, story
        if any(kind == "application" for kind, _ in changes):
            await self._tidy_blobs(state)

    async def _tidy_blobs(self, state: MeshState) -> None:
        try:
            await self._store.keep_only_blobs(blob_names(state))
        except OSError as error:  # such as one for want of a descriptor
            _log.warning("blobs that nobody wishes for stay until the next application is stored: %s", error)

    def _perform(self, action: Action) -> None:
        match action:
            case Launch():
                self._spawn(self._launch(action))
            case Kill(replica_id):
                self._spawn(self._kill(replica_id))

    async def _launch(self, action: Launch) -> None:
        request = launch_request(action.replica, action.spec, self._run_directory, str(self._store.blob_directory))
        try:
            pid = await self._launcher.launch(request)
        except LaunchFailed as error:
            self._inbox.post(Ended(action.replica.replica_id, f"could not be started: {error}"))
        else:
            self._inbox.post(Launched(action.replica.replica_id, pid))

    async def _kill(self, replica_id: str) -> None:
        with suppress(LaunchFailed):  # the engine has ended, and all replicas with it
            await self._launcher.kill(replica_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Launches and kills must not hold up the next event; their results are events themselves."""
        task = asyncio.create_task(work)
        self._performing.add(task)
        task.add_done_callback(self._performing.discard)


def _answer(wish: Wish, outcome: int | MeshError) -> None:
    if wish.stored.done():  # whoever waited has gone
        return
    if isinstance(outcome, int):
        wish.stored.set_result(outcome)
    else:
        wish.stored.set_exception(outcome)
