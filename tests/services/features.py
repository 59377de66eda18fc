"""Deployments that use what a deployment can have: its place, settings, health, batches, models."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import mesh


@mesh.deployment(num_replicas=2)
class Placed:
    """Knows where it is."""

    def __init__(self) -> None:
        self.at_first = mesh.get_replica_context()

    def context(self) -> mesh.ReplicaContext:
        """Where a plain method is."""
        assert mesh.get_replica_context() == self.at_first
        return mesh.get_replica_context()

    async def place(self) -> tuple[int, int]:
        """Rank and process id."""
        return mesh.get_replica_context().rank, os.getpid()

    async def die(self) -> None:
        """End the process."""
        os._exit(1)


class _Configured:
    """Remembers every user_config that it was given, and how."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.threads: set[str] = set()

    def take(self, user_config: Any) -> None:
        if user_config.get("refuse"):
            raise ValueError(f"I refuse {user_config}")
        self.taken.append(user_config)
        self.threads.add(threading.current_thread().name)

    async def seen(self) -> tuple[int, list[Any]]:
        """The process, and what it has taken."""
        return os.getpid(), self.taken

    def on_one_thread(self) -> bool:
        """Whether ``reconfigure`` ran where plain methods run."""
        return self.threads == {threading.current_thread().name}


@mesh.deployment(num_replicas=2)
class Configured(_Configured):
    """With a plain ``reconfigure``."""

    def reconfigure(self, user_config: Any) -> None:
        """Take it, on the turn."""
        self.take(user_config)


@mesh.deployment
class ConfiguredOnLoop(_Configured):
    """With an ``async def reconfigure``."""

    async def reconfigure(self, user_config: Any) -> None:
        """Take it, on the loop."""
        await asyncio.sleep(0)
        self.take(user_config)


@mesh.deployment(health_check_period_s=0.05, health_check_timeout_s=0.2)
class Ailing:
    """Healthy until it is told otherwise."""

    def __init__(self, from_birth: bool = False) -> None:
        self.complaint = "sick from birth" if from_birth else ""

    async def check_health(self) -> None:
        """Raise the complaint, if there is one."""
        if self.complaint:
            raise RuntimeError(self.complaint)

    async def fall_ill(self, complaint: str) -> int:
        """From now on complain; the process id."""
        self.complaint = complaint
        return os.getpid()

    async def pid(self) -> int:
        """Which process it is."""
        return os.getpid()


@mesh.deployment(health_check_period_s=0.05, health_check_timeout_s=0.1)
class Busy:
    """Its plain check waits while a plain method works."""

    def __init__(self) -> None:
        self.checks = 0

    def check_health(self) -> None:
        """Nothing is wrong."""
        self.checks += 1

    def work(self, seconds: float) -> tuple[int, int]:
        """Hold the turn; the process id, and how many checks there were meanwhile."""
        before = self.checks
        threading.Event().wait(seconds)
        return os.getpid(), self.checks - before


@mesh.deployment(max_ongoing_requests=100)
class Batching:
    """Batches of every kind, each of at most four, each result beside the size of its batch."""

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    async def on_loop(self, numbers: list[int]) -> list[tuple[int, int]]:
        """Of an async def."""
        return [(number, len(numbers)) for number in numbers]

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    def on_turn(self, numbers: list[int]) -> list[tuple[int, int]]:
        """Of a def."""
        return [(number, len(numbers)) for number in numbers]

    def through(self, number: int) -> Any:
        """A def that calls a batched def of its own."""
        return self.on_turn(number)

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    def yields(self, numbers: list[int]) -> Iterator[list[Any]]:
        """Of a generator: as many items as the number says."""
        for step in range(max(numbers)):
            yield [(step, len(numbers)) if step < number else StopIteration for number in numbers]

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    async def yields_on_loop(self, numbers: list[int]) -> AsyncIterator[list[Any]]:
        """Of an asynchronous generator."""
        for step in range(max(numbers)):
            yield [(step, len(numbers)) if step < number else StopIteration for number in numbers]

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    def loses_one(self, numbers: list[int]) -> list[int]:
        """One result too few."""
        return numbers[1:]

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    def fails(self, numbers: list[int]) -> list[int]:
        """An exception for everybody."""
        raise LookupError(f"none of {sorted(numbers)}")

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=60)
    def waits(self, numbers: list[int]) -> list[int]:
        """A batch that is never full."""
        return numbers

    def waits_through(self, number: int) -> Any:
        """A def that calls it."""
        return self.waits(number)

    async def set_waits(self, seconds: float, size: int) -> None:
        """Change the settings of ``waits``."""
        self.waits.set_batch_wait_timeout_s(seconds)
        self.waits.set_max_batch_size(size)

    @mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
    async def __call__(self, requests: list[Any]) -> list[dict[str, Any]]:
        """Of HTTP requests."""
        return [{"say": request.query_params["say"], "size": len(requests)} for request in requests]


@mesh.deployment
@mesh.batch(max_batch_size=4, batch_wait_timeout_s=0.2)
def tripled(numbers: list[int]) -> list[tuple[int, int]]:
    """A batched function that is a deployment."""
    return [(3 * number, len(numbers)) for number in numbers]


@mesh.deployment(num_replicas=3, max_ongoing_requests=100)
class Zoo:
    """Holds two models a replica."""

    def __init__(self) -> None:
        self.loads: list[str] = []

    @mesh.multiplexed(max_num_models_per_replica=2)
    async def model(self, model_id: str) -> str:
        """Loads one."""
        if model_id == "broken":
            raise LookupError("there is no broken model")
        self.loads.append(model_id)
        return model_id.upper()

    async def __call__(self, *_: Any) -> str:
        """The model's name and the replica, as a text."""
        model = await self.model(mesh.get_multiplexed_model_id())
        return f"{model} {mesh.get_replica_context().rank}"

    async def wait(self, gate: str) -> tuple[int, list[str]]:
        """With the model in use, until there is a file ``gate``; the rank, and what was loaded here."""
        await self.model(mesh.get_multiplexed_model_id())
        while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240 - it is another process that changes
            await asyncio.sleep(0.01)
        return mesh.get_replica_context().rank, self.loads


@mesh.deployment
class Front:
    """Calls the zoo for the model that it was itself called for."""

    def __init__(self, zoo: mesh.DeploymentHandle) -> None:
        self.zoo = zoo

    async def ask(self) -> str:
        """What the zoo says."""
        return str(await self.zoo())
