"""Python values as bytes and back.

A value is pickled once, where it enters the mesh. What has a payload of its own (the result of another call, an HTTP
request) is left out of the pickle and travels beside it undecoded: see :class:`Attachable`. Large buffers (arrays,
whatever else gives pickle its memory, bytes at top level) are left out, too: see :mod:`mesh.segments`.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from mesh import errors
from mesh.segments.buffer import Buffer
from mesh.v1 import payload_pb2 as pb

PICKLE: int = pb.ENCODING_PICKLE
COMPOSITE: int = pb.ENCODING_COMPOSITE
HTTP_REQUEST: int = pb.ENCODING_HTTP_REQUEST
HTTP_RESPONSE: int = pb.ENCODING_HTTP_RESPONSE
BYTES: int = pb.ENCODING_BYTES
DOOR_CALL: int = pb.ENCODING_DOOR_CALL
DOOR_ANSWER: int = pb.ENCODING_DOOR_ANSWER
ITEMS: int = pb.ENCODING_ITEMS
ERROR: int = pb.ENCODING_ERROR
WEBSOCKET: int = pb.ENCODING_WEBSOCKET
WEBSOCKET_MESSAGE: int = pb.ENCODING_WEBSOCKET_MESSAGE

MAX_PAYLOAD_BYTES = 512 * 1024 * 1024
"""The largest payload of one call or result, with everything that stands beside its pickle."""
LARGE_BYTES = 1_000_000
"""A buffer of this size stays out of the pickle."""


class Payload(NamedTuple):
    """One encoded value: how its body is to be read, the body, and the large buffers that it was pickled without."""

    encoding: int
    body: bytes
    buffers: Sequence[Buffer] = ()

    @property
    def size_bytes(self) -> int:
        """The size of it all."""
        if not self.buffers:
            return len(self.body)
        return len(self.body) + sum(buffer.size_bytes for buffer in self.buffers)


class Attachable:
    """A value that travels beside the pickle that mentions it, as a payload of its own.

    A subclass defines ``__reduce__`` with :func:`attach`, so that pickling it in an argument or a result leaves a
    placeholder, and ``attachment`` to say where the payload comes from.
    """

    __slots__ = ()


class AttachableItems(Attachable):
    """Items that come one after the other. They cannot stand where a value has to be."""

    __slots__ = ()


def misplaced_stream() -> errors.PayloadError:
    """The error for a stream where a value has to be."""
    return errors.PayloadError(
        "a stream cannot be a part of a result, of an item or of another value: return the stream itself, "
        "or read its items"
    )


class Encoded(NamedTuple):
    """A pickled value and what it mentions; a payload as soon as the payloads of ``attached`` are known.

    ``loose`` are large buffers that are still memory of the user's: they have to be copied before anything else.
    """

    body: bytes
    attached: Sequence[Any]
    loose: Sequence[memoryview] = ()
    buffers: Sequence[Buffer] = ()

    def kept(self, buffers: Sequence[Buffer]) -> Encoded:
        """The same with copies of its loose buffers."""
        return self._replace(loose=(), buffers=buffers)

    def with_payloads(self, payloads: Sequence[Payload]) -> Payload:
        """The whole as one payload; ``payloads[i]`` stands for ``attached[i]``.

        Raises :class:`mesh.errors.PayloadTooLarge` when they are too much together.
        """
        if not self.attached:
            return Payload(PICKLE, self.body, self.buffers)
        buffers = [*self.buffers, *(buffer for payload in payloads for buffer in payload.buffers)]
        attachments = [
            pb.Payload(encoding=p.encoding, body=p.body, buffer_count=len(p.buffers))  # type: ignore[arg-type]
            for p in payloads
        ]
        body = pb.Composite(body=self.body, attachments=attachments).SerializeToString()
        whole = Payload(COMPOSITE, body, buffers)
        _check_size(whole.size_bytes)
        return whole


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


_BYTES = (bytes, bytearray)


class _LargeBytes:
    """Bytes at top level: by themselves they give pickle no buffer."""

    __slots__ = ("content",)

    def __init__(self, content: bytes | bytearray) -> None:
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self.content), (pickle.PickleBuffer(self.content),)


def _at_top_level(value: Any, attachables: tuple[type, ...]) -> Any:
    """What stands for an argument or a result in its pickle."""
    if isinstance(value, attachables):
        return _Value(value)
    return _LargeBytes(value) if type(value) in _BYTES and len(value) >= LARGE_BYTES else value


def encode_call(args: tuple[Any, ...], kwargs: dict[str, Any], attachables: tuple[type, ...]) -> Encoded:
    """The arguments of a call, pickled now: later changes by the caller are not seen.

    Those of a type in ``attachables`` arrive as values at top level and as references inside containers. Raises
    :class:`mesh.errors.PayloadError` naming the argument that cannot be pickled.
    """
    for value in args:
        if isinstance(value, attachables) or (type(value) in _BYTES and len(value) >= LARGE_BYTES):
            if not kwargs and all(isinstance(v, attachables) for v in args):
                return Encoded(b"", args)  # most steps of a graph: nothing is left to be pickled
            args = tuple([_at_top_level(v, attachables) for v in args])
            break
    for value in kwargs.values():
        if isinstance(value, attachables) or (type(value) in _BYTES and len(value) >= LARGE_BYTES):
            kwargs = {k: _at_top_level(v, attachables) for k, v in kwargs.items()}
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
    return _encode(_at_top_level(value, attachables))


def pickle_alone(value: Any) -> bytes:
    """The pickle of a value with all that it holds, large buffers too. Raises :class:`mesh.errors.PayloadError`."""
    return _dumps(value, [], None)


def _encode(value: Any) -> Encoded:
    mentioned: list[Any] = []
    loose: list[memoryview] = []
    before, _thread.encoding = _thread.encoding, mentioned
    try:
        body = _dumps(value, mentioned, loose)
    finally:
        _thread.encoding = before
    size_bytes = len(body)
    if loose:
        size_bytes += sum(buffer.nbytes for buffer in loose)
    _check_size(size_bytes)
    return Encoded(body, mentioned, loose)


def _takes_in(loose: list[memoryview], buffer: pickle.PickleBuffer) -> bool:
    """Whether a buffer becomes a part of the pickle that is being made; else it is in ``loose`` now."""
    memory = buffer.raw()
    if memory.nbytes < LARGE_BYTES:
        return True
    loose.append(memory)
    return False


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_PAYLOAD_BYTES:
        raise errors.PayloadTooLarge(f"a payload of {size_bytes} bytes is over the limit of {MAX_PAYLOAD_BYTES} bytes")


def _dumps(value: Any, mentioned: list[Any], loose: list[memoryview] | None) -> bytes:
    take_in = None if loose is None else partial(_takes_in, loose)
    try:
        body = pickle.dumps(value, 5, buffer_callback=take_in)
        if b"__main__" not in body:
            return body
    except Exception:  # noqa: S110 - what pickle cannot do, or does by name of a script, cloudpickle does by value
        pass
    mentioned.clear()
    if loose is not None:
        loose.clear()
    import cloudpickle  # not at import: bridge and door, which carry payloads and read none, do without it

    try:
        return bytes(cloudpickle.dumps(value, 5, buffer_callback=take_in))
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
    elif isinstance(value, _LargeBytes):
        value = value.content
    kind = type(value)
    return f"a value of type {kind.__module__}.{kind.__qualname__}"


def register_decoder(encoding: int, decoder: Callable[[bytes], Any]) -> None:
    """Say how bodies of one encoding become values; the module that knows the encoding calls this when imported."""
    _decoders[encoding] = decoder


def decode(payload: Payload) -> Any:
    """The value of a payload. Raises :class:`mesh.errors.PayloadError` when it cannot be rebuilt here."""
    encoding, body, buffers = payload
    try:
        if encoding == PICKLE:
            return pickle.loads(body, buffers=[buffer.view() for buffer in buffers] if buffers else None)
        if encoding == COMPOSITE:
            return _decode_composite(body, buffers)
        if encoding == BYTES:
            return body
    except Exception as error:
        raise errors.PayloadError(f"cannot rebuild a pickled value: {type(error).__name__}: {error}") from error
    if encoding not in _decoders:
        raise errors.PayloadError(f"a payload of encoding {encoding} cannot be read here")
    return _decoders[encoding](body)


def _decode_composite(body: bytes, buffers: Sequence[Buffer]) -> Any:
    composite = pb.Composite.FromString(body)
    own = len(buffers) - sum(attachment.buffer_count for attachment in composite.attachments)
    rest = iter(buffers[own:])
    before = _thread.decoding
    _thread.decoding = [Payload(a.encoding, a.body, tuple(islice(rest, a.buffer_count))) for a in composite.attachments]
    try:
        if not composite.body:
            return tuple([decode(payload) for payload in _thread.decoding]), {}
        return pickle.loads(composite.body, buffers=[buffer.view() for buffer in buffers[:own]])
    finally:
        _thread.decoding = before
