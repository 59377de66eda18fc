"""Ctrl-C while modules are being imported: it ends the process, as it would a program that is not Python."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupt_ends_process() -> Iterator[None]:
    """SIGINT ends this process by the signal while inside; for imports before there is anything to clean up.

    As KeyboardInterrupt it would show a traceback of our imports, or be lost: Python's import system has callbacks
    that an exception does not leave.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or another's
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
