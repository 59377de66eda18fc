"""The one task that changes the state: event -> state -> reconcile -> store -> perform -> publish.

Everything that can happen is an event in one inbox, so nothing here needs a lock. What is decided is decided in
``events.py`` and ``reconcile.py``; what is decided upon is stored before it is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from math import inf
from typing import Any

from mesh.clock import Clock
from mesh.config import Application
from mesh.controller.events import Applied, Deleted, Ended, Event, Launched, Listed, Scaled, StopRequested, apply
from mesh.controller.inbox import Inbox
from mesh.controller.launches import launch_request, remove_sockets
from mesh.controller.publisher import Publisher
from mesh.controller.reconcile import Action, Kill, Launch, reconcile
from mesh.controller.rows import Key, blob_names, from_rows, to_rows
from mesh.controller.state import MeshState
from mesh.controller.store import Store, StoreUnwritable
from mesh.engine.launcher import Launcher, LaunchFailed
from mesh.errors import MeshError

_log = logging.getLogger(__name__)

STORE_AGAIN_S = 1.0
"""After so long a store that could not be written is tried again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An event that somebody waits for: ``stored`` gets the revision that holds it, or the error that refused it."""

    event: Applied | Deleted | Scaled
    stored: asyncio.Future[int]
    blobs: dict[str, bytes] = field(default_factory=dict)


class Controller:
    """Keeps what is wished for true, from :meth:`start` until :meth:`run` returns.

    The launcher must post an :class:`Ended` event into ``inbox`` for every end of a process.
    """

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        clock: Clock,
        inbox: Inbox[Event | Wish],
        run_directory: str,
        gpus: Sequence[str] = (),
    ) -> None:
        self.publisher = Publisher(run_directory, clock)
        self._store = store
        self._launcher = launcher
        self._clock = clock
        self._inbox = inbox
        self._run_directory = run_directory
        self._gpus = gpus
        self._state = MeshState()
        self._revision = 0
        self._stored: dict[Key, bytes] = {}
        self._wake_at_s = inf
        self._is_unwritable = False
        self._performing: set[asyncio.Task[None]] = set()

    async def start(self, is_first: bool = False) -> None:
        """Takes over what the controller before this one left: its rows, and the replicas that still run.

        The first controller of an engine need not ask it: nothing runs yet, and the engine is still busy importing.
        """
        self._revision, self._stored = await self._store.load()
        self._state = from_rows(self._stored, self._clock.now_s())
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

    async def blobs(self, names: Set[str]) -> dict[str, bytes]:
        """Those of the blobs that an application which is wished for names."""
        return await self._store.read_blobs(names & blob_names(self._state))

    def post(self, event: Event) -> None:
        """Something happened."""
        self._inbox.post(event)

    def stop(self) -> None:
        """Drains all replicas; what is wished for stays in the store."""
        self.post(StopRequested())

    async def _stored_wish(self, event: Applied | Deleted | Scaled, blobs: dict[str, bytes]) -> int:
        stored: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._inbox.post(Wish(event, stored, blobs))
        return await stored

    async def _step(self, events: Sequence[Event | Wish]) -> None:
        now_s = self._clock.now_s()
        before, state = self._state, self._state
        accepted: list[Wish] = []
        for event in events:
            if isinstance(event, Wish):
                try:
                    state = apply(state, event.event, now_s)
                    accepted.append(event)
                except MeshError as error:
                    _answer(event, error)
            else:
                state = apply(state, event, now_s)
        step = reconcile(state, now_s, self._gpus)
        actions: Sequence[Action] = step.actions
        outcome: int | MeshError
        try:
            await self._save(step.state, {name: blob for wish in accepted for name, blob in wish.blobs.items()})
            self._state, self._wake_at_s, outcome = step.state, step.wake_at_s, self._revision
        except StoreUnwritable as error:
            # What has happened is true all the same. What is wished for is refused; what would be begun has to wait.
            happened = [event for event in events if not isinstance(event, Wish)]
            self._state = reduce(lambda state, event: apply(state, event, now_s), happened, before)
            # Without the wish, or in a while, there may be room enough for the rest.
            self._wake_at_s = now_s if accepted else now_s + STORE_AGAIN_S
            actions, outcome = (), error
        self.publisher.publish(self._state, self._revision)
        for wish in accepted:
            _answer(wish, outcome)
        for action in actions:
            self._perform(action)
        for ended in before.replicas.keys() - self._state.replicas.keys():
            remove_sockets(self._run_directory, ended)

    async def _save(self, state: MeshState, blobs: dict[str, bytes]) -> None:
        rows = to_rows(state)
        changes: dict[Key, bytes | None] = {key: row for key, row in rows.items() if self._stored.get(key) != row}
        changes |= dict.fromkeys(self._stored.keys() - rows.keys())
        if not (changes or blobs):
            return
        try:
            self._revision = await self._store.save(self._revision, changes, blobs)
        except StoreUnwritable as error:
            if not self._is_unwritable:  # once, not at every try
                _log.error("%s; trying again every_s=%g", error, STORE_AGAIN_S)
            self._is_unwritable = True
            raise
        self._is_unwritable = False
        self._stored = rows
        if any(kind == "application" for kind, _ in changes):
            await self._store.keep_only_blobs(blob_names(state))

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
