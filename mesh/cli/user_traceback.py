"""Tracebacks as the user's own interpreter would show them."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path

_OUR_FOLDERS = (str(Path(__file__).parents[1]) + os.sep, str(Path(importlib.__file__).parent) + os.sep)


def user_traceback(error: BaseException) -> str:
    """The traceback of ``error`` without the frames of mesh and of the import machinery, its causes included."""
    root = traceback.TracebackException.from_exception(error)
    pending = [root]
    while pending:
        one = pending.pop()
        one.stack = traceback.StackSummary.from_list([frame for frame in one.stack if not _is_ours(frame.filename)])
        pending.extend(cause for cause in (one.__cause__, one.__context__) if cause is not None)
    return "".join(root.format()).rstrip()


def _is_ours(filename: str) -> bool:
    return filename.startswith(("<frozen importlib", *_OUR_FOLDERS))
