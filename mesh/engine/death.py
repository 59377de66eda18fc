"""Noticing that another process has ended, and ending with it.

A process passes on a descriptor that becomes readable when it has ended: a pidfd that it opened on itself, so that no
reused process id can be meant. Where there are no pidfds, it is a pipe whose other end only that process holds.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress


def open_own_death() -> tuple[int, int]:
    """A descriptor to pass on, readable when this process has ended, and one that this process keeps open (or -1)."""
    if sys.platform == "linux":
        return os.pidfd_open(os.getpid()), -1
    return os.pipe()


def end_with(deaths: Sequence[int]) -> None:
    """As soon as one of the processes behind ``deaths`` has ended, kills this process and its group.

    It waits in a thread of its own: the loop of this process may be held by a user's code.
    """
    if deaths:
        threading.Thread(target=_wait_and_die, args=(tuple(deaths),), name="mesh-death", daemon=True).start()


def tie_group_to(lifeline: int) -> None:
    """Lets the kernel kill this process's group when the last writer of the pipe ``lifeline`` is gone.

    The thread of :func:`end_with` needs the interpreter lock, which an extension of the user may hold for minutes;
    this needs nothing. Nobody ever writes to the pipe, so its only event is the death of the engine. The pipe is
    opened again because owner and signal belong to the open file, and the inherited one is shared with all others.
    """
    if sys.platform != "linux":
        return
    own = os.open(f"/proc/self/fd/{lifeline}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(own, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(own, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)


def _wait_and_die(deaths: tuple[int, ...]) -> None:
    poll = select.poll()
    for death in deaths:
        poll.register(death, select.POLLIN)
    while not poll.poll():
        pass
    with suppress(ProcessLookupError):
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
