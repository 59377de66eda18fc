"""The CPU time of a process and all below it, ended ones included."""

from __future__ import annotations

import os
from collections.abc import Callable

import psutil


def tree_cpu_s(pid: int) -> float:
    """User and system seconds of the process, of its descendants, and of those that have ended.

    A process that was waited for has left its time with whoever waited, so the sum over the living ones forgets nobody.
    The resolution is the kernel's clock tick of each process, 10 ms as a rule.
    """
    process = psutil.Process(pid)
    return cpu_s(process.pid) + _below_s(process)


def cpu_s(pid: int) -> float:
    """User and system seconds of one process and of its children that were waited for; 0 when it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:  # its time is its parent's by now
        return 0.0
    return sum((times.user, times.system, times.children_user, times.children_system))


def count_cpu() -> Callable[[], float]:
    """Begin to count the time of this process and all below it; what is returned gives the seconds since then.

    Looking at all processes takes time itself, which is left out: own time is read last before and first after.
    """
    process = psutil.Process()
    below_s = _below_s(process)
    own_s = _own_s()

    def elapsed_s() -> float:
        own_now_s = _own_s()
        return own_now_s - own_s + _below_s(process) - below_s

    return elapsed_s


def _below_s(process: psutil.Process) -> float:
    return sum(cpu_s(child.pid) for child in process.children(recursive=True))


def _own_s() -> float:
    return sum(os.times()[:4])
