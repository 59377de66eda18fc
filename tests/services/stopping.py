"""Deployments whose replicas are stopped by a signal, or keep everything of their process to themselves."""

from __future__ import annotations

import asyncio
import ctypes
import os

import mesh


@mesh.deployment
class Stopped:
    """Says who it is, and waits for ever."""

    async def pid(self) -> int:
        """Of this replica."""
        return os.getpid()

    async def wait(self, other: int = 0) -> int:
        """The pid of this replica, as soon as it is not ``other``."""
        if os.getpid() == other:
            await asyncio.get_running_loop().create_future()
        return os.getpid()


@mesh.deployment
class Busy:
    """Holds the loop and the lock of the interpreter, as an extension may."""

    async def hold(self, seconds: float) -> int:
        """No line of Python runs in this process meanwhile."""
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))
        return os.getpid()
