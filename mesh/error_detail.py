"""Exceptions as they travel: with type, attributes, message and the user's traceback, over any number of processes."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Iterable
from typing import Any

from mesh import errors
from mesh.payload import pickle_alone
from mesh.v1 import payload_pb2 as pb

MAX_ERROR_BYTES = 96 * 1024
"""The largest pickled exception; a larger one arrives as its type name, message and traceback."""

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 20_000  # its end: with four bytes a character the whole detail still fits into a frame
_NOTE = "in the replica:\n"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OUR_FOLDERS = tuple(os.path.join(_ROOT, package, "") for package in ("mesh", "sidecar", "http_bridge"))

_KINDS: dict[type[errors.MeshError], pb.ErrorKind] = {
    errors.DeadlineExceeded: pb.ERROR_KIND_DEADLINE,
    errors.RequestCancelled: pb.ERROR_KIND_CANCELLED,
    errors.RequestRejected: pb.ERROR_KIND_REJECTED,
    errors.ReplicaDied: pb.ERROR_KIND_REPLICA_DIED,
    errors.PayloadError: pb.ERROR_KIND_BAD_CALL,
    errors.PayloadTooLarge: pb.ERROR_KIND_BAD_CALL,
    errors.MethodNotFound: pb.ERROR_KIND_BAD_CALL,
    errors.InvalidArgument: pb.ERROR_KIND_BAD_CALL,
}


def encode_error(error: BaseException) -> pb.ErrorDetail:
    """An exception with its type, attributes, message and the user's traceback, small enough for one frame."""
    kind = type(error)
    type_name, message = f"{kind.__module__}.{kind.__qualname__}", _message(error)
    if isinstance(error, errors.UserCodeError):
        type_name, message = error.type_name or type_name, Exception.__str__(error)
    detail = pb.ErrorDetail(
        kind=_KINDS.get(kind, pb.ERROR_KIND_USER),  # type: ignore[arg-type]
        type_name=_sendable(type_name)[:_LONGEST_MESSAGE],
        message=_sendable(message)[:_LONGEST_MESSAGE],
        traceback=_sendable(_traceback_text(error))[-_LONGEST_TRACEBACK:],
    )
    if not isinstance(error, Exception) or isinstance(error, StopIteration | StopAsyncIteration):
        return detail  # SystemExit and its like are the user's errors: they must not end whoever waits, or its loop
    try:
        pickled = pickle_alone(_taken_apart(error))
        if len(pickled) <= MAX_ERROR_BYTES:
            _rebuild(pickled)
            detail.pickled = pickled
    except Exception:  # noqa: S110 - it arrives as UserCodeError with what the detail says already
        pass
    return detail


def decode_error(detail: pb.ErrorDetail) -> BaseException:
    """The exception that was raised, or :class:`mesh.errors.UserCodeError` where it cannot be rebuilt here.

    The detail stays on it as ``__mesh_detail__``; the remote traceback is its last note.
    """
    try:
        error = _rebuild(detail.pickled)
    except Exception:
        error = errors.UserCodeError(detail.message, detail.type_name, detail.traceback)
    notes = list(getattr(error, "__notes__", ()))
    if detail.traceback and detail.traceback != _text_of(notes):
        BaseException.__setattr__(error, "__notes__", [*notes, f"{_NOTE}{detail.traceback.rstrip()}"])
    BaseException.__setattr__(error, "__mesh_detail__", detail)
    return error


def describe_error(detail: pb.ErrorDetail) -> errors.MeshError:
    """As :func:`decode_error`, for a process that must not unpickle: the mesh's own classes, else ``UserCodeError``."""
    module, _, name = detail.type_name.rpartition(".")
    kind = getattr(errors, name, None) if module == errors.__name__ else None
    if isinstance(kind, type) and issubclass(kind, errors.MeshError):
        error = kind(detail.message)
    else:
        error = errors.UserCodeError(detail.message, detail.type_name, detail.traceback)
    error.__mesh_detail__ = detail  # type: ignore[attr-defined]
    return error


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"<no message: str() of the exception raised {type(broken).__name__}>"


def _sendable(text: str) -> str:
    """The text without lone surrogates (undecodable file names have them), which protobuf refuses."""
    return text.encode("utf-8", "replace").decode()


def _taken_apart(error: BaseException) -> tuple[type[BaseException], tuple[Any, ...], dict[str, Any]]:
    """Class, arguments and attributes, as the class of Python's own that it derives from sees them."""
    _, args, *state = _python_class(type(error)).__reduce__(error)
    attributes = dict(state[0]) if state and state[0] else {}
    attributes.pop("__mesh_detail__", None)
    if notes := [note for note in attributes.pop("__notes__", ()) if not str(note).startswith(_NOTE)]:
        attributes["__notes__"] = notes
    return type(error), args, attributes


def _rebuild(pickled: bytes) -> BaseException:
    """The exception again, without its class's own ``__init__``, which often takes other arguments than ``args``."""
    kind, args, attributes = pickle.loads(pickled)
    error = kind.__new__(kind, *args)
    if not isinstance(error, BaseException):
        raise TypeError(f"{kind} is not an exception")
    _python_class(kind).__init__(error, *args)
    for name, value in attributes.items():
        BaseException.__setattr__(error, name, value)  # a frozen dataclass may be an exception too
    str(error)
    return error


def _python_class(kind: type[BaseException]) -> Any:
    return next(cls for cls in kind.__mro__ if cls.__module__ == "builtins")


def _traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, with our frames left out; of an earlier replica as it came.

    An error that no code of the user's raised has its notes alone, which say what was being done.
    """
    known = getattr(error, "__mesh_detail__", None)
    if known is not None and known.traceback:
        return str(known.traceback)
    report = traceback.TracebackException.from_exception(error)
    _trim(report)
    return "".join(report.format()) if report.stack else _text_of(getattr(error, "__notes__", ()))


def _text_of(notes: Iterable[object]) -> str:
    return _sendable("\n".join(str(note) for note in notes))


def _trim(report: traceback.TracebackException) -> None:
    report.stack = traceback.StackSummary.from_list(
        [frame for frame in report.stack if not frame.filename.startswith(_OUR_FOLDERS)]
    )
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _trim(other)
