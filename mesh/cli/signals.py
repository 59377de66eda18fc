"""SIGINT and SIGTERM as exceptions, for a command that runs until one of them comes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn


class Terminated(BaseException):
    """SIGTERM arrived: end, but let the replicas finish what they have begun."""


@contextmanager
def signals_raise() -> Iterator[Callable[[], None]]:
    """SIGINT becomes KeyboardInterrupt and SIGTERM :class:`Terminated`.

    Also where a shell made a command in the background ignore SIGINT.

    Such an exception is lost when it comes up in a callback of Python's import system, or in an ``except`` of the
    user's module. What this gives raises it again.
    """
    arrived: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> NoReturn:
        arrived.append(number)
        raise _EXCEPTIONS[number]

    def raise_swallowed() -> None:
        if arrived:
            raise _EXCEPTIONS[arrived[0]]

    before = {number: signal.signal(number, on_signal) for number in _EXCEPTIONS}
    try:
        yield raise_swallowed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_EXCEPTIONS: Final[dict[int, type[BaseException]]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
