"""Deployments that take, make and keep arrays, and say where their memory is."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import mesh
from mesh.segments.copying import process_pool


def mapped_segments() -> int:
    """Segments that are mapped into this process."""
    return Path("/proc/self/maps").read_text().count("memfd:mesh-segment")


def lent_bytes() -> int:
    """What of this process' segments is in use by anybody."""
    total, free = process_pool().sizes()
    return total - free


@mesh.deployment(max_ongoing_requests=20)
class Arrays:
    """What happens to arrays in a replica."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.buffer = np.zeros(3_000_000, np.uint8)

    def look(self, array: Any) -> tuple[int, bool, int]:
        """Sum, whether it may be written to, and the segments that are mapped."""
        return int(array.sum()), array.flags.writeable, mapped_segments()

    async def look_on_loop(self, array: Any) -> tuple[int, bool, int]:
        """The same in a coroutine."""
        return self.look(array)

    def kind(self, content: Any) -> tuple[str, int, bytes]:
        """Type, size and last bytes."""
        return type(content).__name__, len(content), bytes(content[-3:])

    def add(self, array: Any, number: int) -> Any:
        """The same array with a number added, in place."""
        array += number
        return array

    def make(self, size: int, value: int = 1) -> Any:
        """An array of so many bytes."""
        return np.full(size, value, np.uint8)

    async def make_on_loop(self, size: int, value: int = 1) -> Any:
        """The same in a coroutine."""
        return np.full(size, value, np.uint8)

    def make_bytes(self, size: int) -> bytes:
        """So many bytes."""
        return b"\x07" * size

    def next_of_buffer(self) -> Any:
        """One array of its own, changed by every call."""
        self.buffer += 1
        return self.buffer

    def keep(self, array: Any) -> int:
        """Keep an array, and say how many there are."""
        self.kept.append(array)
        return len(self.kept)

    def kept_sums(self) -> list[int]:
        """The sums of those that it keeps."""
        return [int(array.sum()) for array in self.kept]

    def drop(self) -> None:
        """Forget what is kept."""
        self.kept.clear()

    def lent_bytes(self) -> int:
        """What of its segments is in use by anybody."""
        return lent_bytes()

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    async def look_many(self, other: mesh.DeploymentHandle, size: int, times: int) -> list[int]:
        """Have another deployment look at arrays, one call after the other."""
        return [(await other.look(np.full(size, 1, np.uint8)))[0] for _ in range(times)]

    async def pass_on(self, maker: mesh.DeploymentHandle, keeper: mesh.DeploymentHandle, size: int) -> int:
        """Have one make an array and another keep it, without looking at it."""
        made = await maker.make.remote(size)
        return int(await keeper.keep(made))

    def yield_arrays(self, size: int, count: int) -> Iterator[Any]:
        """Arrays full of 0, 1, 2 ..., all of them the same memory."""
        array = np.zeros(size, np.uint8)
        for _ in range(count):
            yield array
            array += 1

    async def yield_on_loop(self, size: int, count: int) -> AsyncIterator[Any]:
        """Arrays full of 0, 1, 2 ..."""
        for number in range(count):
            yield np.full(size, number, np.uint8)

    def die_once(self, array: Any, journal: str) -> int:
        """End the process in the first call that asks for it; the sum in all others."""
        if not Path(journal).exists():
            Path(journal).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return int(array.sum())

    def allow_no_files(self) -> None:
        """From now on nothing can be opened in this process."""
        used = max(int(number) for number in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        while True:  # the numbers below that are still free
            try:
                self.kept.append(open("/dev/null"))  # noqa: SIM115 - until allow_files
            except OSError:
                return

    def allow_files(self) -> None:
        """As before."""
        self.kept.clear()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def allow_no_memory(self) -> None:
        """From now on no segment of this process can be as large as is asked for."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
