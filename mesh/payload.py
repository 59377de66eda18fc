"""Python values as bytes and back, exceptions too.

A value is pickled once, where it enters the mesh. What has a payload of its own (the result of another call, an HTTP
request) is left out of the pickle and travels beside it undecoded: see :class:`Attachable`.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from mesh import errors
from mesh.v1 import payload_pb2 as pb

PICKLE: int = pb.ENCODING_PICKLE
COMPOSITE: int = pb.ENCODING_COMPOSITE
HTTP_REQUEST: int = pb.ENCODING_HTTP_REQUEST
HTTP_RESPONSE: int = pb.ENCODING_HTTP_RESPONSE
BYTES: int = pb.ENCODING_BYTES
DOOR_CALL: int = pb.ENCODING_DOOR_CALL
DOOR_ANSWER: int = pb.ENCODING_DOOR_ANSWER

MAX_PAYLOAD_BYTES = 512 * 1024 * 1024
"""The largest payload of one call or result."""
MAX_ERROR_BYTES = 96 * 1024
"""The largest pickled exception; a larger one arrives as its type name, message and traceback."""

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 20_000  # its end: with four bytes a character the whole detail still fits into a frame
_NOTE = "in the replica:\n"
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_OUR_FOLDERS = tuple(os.path.join(_ROOT, package, "") for package in ("mesh", "sidecar", "http_bridge"))


class Payload(NamedTuple):
    """One encoded value: how its body is to be read, and the body."""

    encoding: int
    body: bytes


class Attachable:
    """A value that travels beside the pickle that mentions it, as a payload of its own.

    A subclass defines ``__reduce__`` with :func:`attach`, so that pickling it in an argument or a result leaves a
    placeholder, and ``attachment`` to say where the payload comes from.
    """

    __slots__ = ()


class AttachableItems(Attachable):
    """Items that come one after the other. They cannot stand yet where a value has to be."""

    __slots__ = ()


def refuse_items() -> errors.NotSupportedYet:
    """The error for a stream where a value has to be."""
    return errors.NotSupportedYet(
        "a stream cannot be passed on yet, neither as an argument nor as a result: read its items and yield them"
    )


class Encoded(NamedTuple):
    """A pickled value and what it mentions; a payload as soon as the payloads of ``attached`` are known."""

    body: bytes
    attached: Sequence[Any]

    def with_payloads(self, payloads: Sequence[Payload]) -> Payload:
        """The whole as one payload; ``payloads[i]`` stands for ``attached[i]``.

        Raises :class:`mesh.errors.PayloadTooLarge` when they are too much together.
        """
        if not self.attached:
            return Payload(PICKLE, self.body)
        _check_size(len(self.body) + sum(len(payload.body) for payload in payloads))
        attachments = [pb.Payload(encoding=p.encoding, body=p.body) for p in payloads]  # type: ignore[arg-type]
        return Payload(COMPOSITE, pb.Composite(body=self.body, attachments=attachments).SerializeToString())


class _PerThread(threading.local):
    encoding: list[Any] | None = None
    decoding: Sequence[Payload] = ()


_thread = _PerThread()
_decoders: dict[int, Callable[[bytes], Any]] = {}


def attach(value: Any) -> int:
    """The number of the attachment that ``value`` becomes in the pickle that is being made in this thread.

    Raises :class:`TypeError` outside of a call's arguments or result.
    """
    if _thread.encoding is None:
        raise TypeError(f"{type(value).__name__} can only be pickled as an argument or a result of a call")
    _thread.encoding.append(value)
    return len(_thread.encoding) - 1


def attached(number: int) -> Payload:
    """The payload behind a placeholder of the pickle that is being read in this thread."""
    return _thread.decoding[number]


class _Value:
    """The placeholder of an attachment at top level: it is read as the attachment's value."""

    __slots__ = ("attachable",)

    def __init__(self, attachable: Any) -> None:
        self.attachable = attachable

    def __reduce__(self) -> tuple[Any, ...]:
        return attached_value, (attach(self.attachable),)


def attached_value(number: int) -> Any:
    """The value behind a placeholder at top level."""
    return decode(_thread.decoding[number])


def encode_call(args: tuple[Any, ...], kwargs: dict[str, Any], attachables: tuple[type, ...]) -> Encoded:
    """The arguments of a call, pickled now: later changes by the caller are not seen.

    Those of a type in ``attachables`` arrive as values at top level and as references inside containers. Raises
    :class:`mesh.errors.PayloadError` naming the argument that cannot be pickled.
    """
    for value in args:
        if isinstance(value, attachables):
            args = tuple(_Value(v) if isinstance(v, attachables) else v for v in args)
            break
    for value in kwargs.values():
        if isinstance(value, attachables):
            kwargs = {k: _Value(v) if isinstance(v, attachables) else v for k, v in kwargs.items()}
            break
    try:
        return _encode((args, kwargs))
    except errors.PayloadError:
        _blame_argument(args, kwargs)
        raise


def encode_result(value: Any, attachables: tuple[type, ...]) -> Encoded:
    """The result of a call, pickled; one of a type in ``attachables`` is passed on as it is.

    Raises :class:`mesh.errors.PayloadError`.
    """
    return _encode(_Value(value) if isinstance(value, attachables) else value)


def _encode(value: Any) -> Encoded:
    mentioned: list[Any] = []
    before, _thread.encoding = _thread.encoding, mentioned
    try:
        body = _dumps(value, mentioned)
    finally:
        _thread.encoding = before
    _check_size(len(body))
    return Encoded(body, mentioned)


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_PAYLOAD_BYTES:
        raise errors.PayloadTooLarge(f"a payload of {size_bytes} bytes is over the limit of {MAX_PAYLOAD_BYTES} bytes")


def _dumps(value: Any, mentioned: list[Any]) -> bytes:
    try:
        body = pickle.dumps(value, 5)
        if b"__main__" not in body:
            return body
    except Exception:  # noqa: S110 - what pickle cannot do, or does by name of a script, cloudpickle does by value
        pass
    mentioned.clear()
    import cloudpickle  # not at import: bridge and door, which carry payloads and read none, do without it

    try:
        return bytes(cloudpickle.dumps(value, 5))
    except Exception as error:
        raise errors.PayloadError(f"cannot pickle {_short(value)}: {error}") from error


def _blame_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    named = [(f"argument {i + 1}", v) for i, v in enumerate(args)] + [(f"argument {k!r}", v) for k, v in kwargs.items()]
    for name, value in named:
        try:
            _encode(value)
        except errors.PayloadError as error:
            raise errors.PayloadError(f"{name}: {error}") from error.__cause__


def _short(value: Any) -> str:
    if isinstance(value, _Value):
        value = value.attachable
    kind = type(value)
    return f"a value of type {kind.__module__}.{kind.__qualname__}"


def register_decoder(encoding: int, decoder: Callable[[bytes], Any]) -> None:
    """Say how bodies of one encoding become values; the module that knows the encoding calls this when imported."""
    _decoders[encoding] = decoder


def decode(payload: Payload) -> Any:
    """The value of a payload. Raises :class:`mesh.errors.PayloadError` when it cannot be rebuilt here."""
    encoding, body = payload
    try:
        if encoding == PICKLE:
            return pickle.loads(body)
        if encoding == COMPOSITE:
            return _decode_composite(body)
        if encoding == BYTES:
            return body
    except Exception as error:
        raise errors.PayloadError(f"cannot rebuild a pickled value: {type(error).__name__}: {error}") from error
    if encoding not in _decoders:
        raise errors.PayloadError(f"a payload of encoding {encoding} cannot be read here")
    return _decoders[encoding](body)


def _decode_composite(body: bytes) -> Any:
    composite = pb.Composite.FromString(body)
    before = _thread.decoding
    _thread.decoding = [Payload(a.encoding, a.body) for a in composite.attachments]
    try:
        return pickle.loads(composite.body)
    finally:
        _thread.decoding = before


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
        pickled = _encode(_taken_apart(error)).body
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
