"""Values and exceptions as payloads, by situations."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from mesh import error_detail, errors, payload
from mesh.frames import FRAME_BYTES
from mesh.payload import Attachable, Payload, attach, attached
from mesh.segments.buffer import InMemory
from mesh.v1 import payload_pb2 as pb


class Reference(Attachable):
    """Stands for the result of another call: as a placeholder it carries nothing but a number."""

    def __init__(self, result: Payload) -> None:
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return _referred, (attach(self),)


def _referred(number: int) -> Reference:
    return Reference(attached(number))


def _arrived(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    encoded = payload.encode_call(args, kwargs, (Reference,))
    arrived: tuple[tuple[Any, ...], dict[str, Any]] = payload.decode(
        encoded.with_payloads([reference.result for reference in encoded.attached])
    )
    return arrived


def _result_of(value: Any) -> Payload:
    return payload.encode_result(value, (Reference,)).with_payloads([])


def _raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def _over_a_hop(error: BaseException) -> BaseException:
    detail = error_detail.encode_error(error)
    return error_detail.decode_error(pb.ErrorDetail.FromString(detail.SerializeToString()))


@pytest.mark.parametrize(
    "value", [None, 1, "text", b"bytes", [1, {"a": (2.5, None)}], {1, 2}, ValueError], ids=lambda value: repr(value)
)
def test_a_value_arrives_equal(value: Any) -> None:
    assert payload.decode(_result_of(value)) == value
    assert _arrived(value, key=value) == ((value,), {"key": value})


def test_plain_values_are_plain_pickles() -> None:
    assert _result_of([1, 2]) == Payload(pb.ENCODING_PICKLE, pickle.dumps([1, 2], 5))


def test_what_pickle_cannot_name_travels_by_value() -> None:
    factor = 3
    assert payload.decode(_result_of(lambda x: x * factor))(2) == 6


def test_a_class_of_a_script_travels_by_value_to_a_process_without_that_script() -> None:
    script = (
        "import sys\nfrom mesh import payload\n"
        "class Point:\n    def __init__(self, x): self.x = x\n    def double(self): return self.x * 2\n"
        "encoded = payload.encode_call((Point(21),), {}, ())\n"
        "sys.stdout.buffer.write(encoded.body)\n"
    )
    written = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    (point,), _ = payload.decode(Payload(pb.ENCODING_PICKLE, written.stdout))
    assert point.double() == 42


def test_an_attachment_at_top_level_arrives_as_its_value() -> None:
    assert _arrived(Reference(_result_of(5)), 1, key=Reference(_result_of("six"))) == ((5, 1), {"key": "six"})


def test_arguments_that_are_all_attachments_need_no_pickle() -> None:
    attached = (Reference(_result_of("first")), Reference(_result_of("second")))
    assert payload.encode_call(attached, {}, (Reference,)).body == b""
    assert _arrived(*attached) == (("first", "second"), {})


def test_an_attachment_inside_a_container_arrives_as_a_reference_with_its_payload() -> None:
    inner = _result_of({"not": "decoded"})
    ([reference, number],), _ = _arrived([Reference(inner), 7])
    assert number == 7
    assert isinstance(reference, Reference)
    assert reference.result == inner


def test_an_attachment_met_twice_in_one_container_is_one_reference() -> None:
    reference = Reference(_result_of(1))
    ([first, second],), _ = _arrived([reference, reference])
    assert first is second


def test_an_attachment_whose_payload_has_attachments_itself() -> None:
    inner = payload.encode_call((Reference(_result_of(1)),), {}, (Reference,)).with_payloads([_result_of(1)])
    assert inner.encoding == pb.ENCODING_COMPOSITE
    assert _arrived(Reference(inner), Reference(_result_of(2))) == ((((1,), {}), 2), {})


def test_a_result_that_is_an_attachment_is_passed_on() -> None:
    encoded = payload.encode_result(Reference(_result_of(8)), (Reference,))
    assert payload.decode(encoded.with_payloads([_result_of(8)])) == 8


def test_an_attachment_beside_a_value_that_only_cloudpickle_can_do_is_attached_once() -> None:
    encoded = payload.encode_call((Reference(_result_of(1)), lambda: 2), {}, (Reference,))
    assert len(encoded.attached) == 1
    (one, function), _ = payload.decode(encoded.with_payloads([_result_of(1)]))
    assert (one, function()) == (1, 2)


def test_a_reference_cannot_be_pickled_outside_of_a_call() -> None:
    with pytest.raises(TypeError, match="Reference can only be pickled as an argument or a result of a call"):
        pickle.dumps(Reference(_result_of(1)))


@pytest.mark.parametrize(
    ("args", "kwargs", "named"),
    [((1, threading.Lock()), {}, "argument 2"), ((1,), {"lock": threading.Lock()}, "argument 'lock'")],
    ids=["positional", "by name"],
)
def test_the_argument_that_does_not_pickle_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.PayloadError, match=rf"{named}: cannot pickle a value of type _thread\.lock") as caught:
        payload.encode_call(args, kwargs, ())
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_result_that_does_not_pickle_names_its_type() -> None:
    with pytest.raises(errors.PayloadError, match=r"cannot pickle a value of type builtins\.generator"):
        payload.encode_result((x for x in ()), ())


def test_a_payload_over_the_limit_names_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_PAYLOAD_BYTES", 1000)
    with pytest.raises(errors.PayloadTooLarge, match=r"a payload of \d+ bytes is over the limit of 1000 bytes"):
        payload.encode_call((b"x" * 1000,), {}, ())
    payload.encode_call((b"x" * 900,), {}, ())


LARGE = bytes(range(256)) * 4_000


class Holder:
    """A value that gives pickle its memory, as arrays do."""

    def __init__(self, content: Any) -> None:
        self.content = bytes(content)

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return Holder, (pickle.PickleBuffer(self.content),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holder) and self.content == other.content


def _kept(encoded: payload.Encoded) -> payload.Encoded:
    return encoded.kept([InMemory(bytes(buffer)) for buffer in encoded.loose])


@pytest.mark.parametrize(
    "value", [Holder(LARGE), [Holder(LARGE), 1, Holder(LARGE[1:] + b"x")], {"deep": [Holder(LARGE)]}]
)
def test_large_buffers_stay_out_of_the_pickle(value: Any) -> None:
    encoded = payload.encode_result(value, (Reference,))
    assert len(encoded.body) < 1000
    whole = _kept(encoded).with_payloads([])
    assert payload.decode(whole) == value
    assert whole.size_bytes > len(LARGE)


def test_small_buffers_are_a_part_of_it() -> None:
    encoded = payload.encode_result(Holder(LARGE[:1000]), (Reference,))
    assert not encoded.loose
    assert payload.decode(encoded.with_payloads([])) == Holder(LARGE[:1000])


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_bytes_at_top_level_stay_out_and_arrive_as_what_they_are(kind: Any) -> None:
    encoded = payload.encode_call((kind(LARGE), b"small"), {"named": kind(LARGE)}, (Reference,))
    assert (len(encoded.body) < 1000, len(encoded.loose)) == (True, 2)
    args, kwargs = payload.decode(_kept(encoded).with_payloads([]))
    assert (args, kwargs) == ((kind(LARGE), b"small"), {"named": kind(LARGE)})
    assert [type(value) for value in (args[0], kwargs["named"])] == [kind, kind]
    assert payload.decode(_kept(payload.encode_result(kind(LARGE), ())).with_payloads([])) == kind(LARGE)


def test_large_buffers_of_what_only_cloudpickle_can_do_stay_out_once() -> None:
    encoded = payload.encode_result((Holder(LARGE), lambda: 7), (Reference,))
    assert len(encoded.loose) == 1
    holder, function = payload.decode(_kept(encoded).with_payloads([]))
    assert (holder, function()) == (Holder(LARGE), 7)


def test_attachments_keep_their_buffers_apart() -> None:
    first, second = [
        _kept(payload.encode_result(Holder(letter * len(LARGE)), (Reference,))).with_payloads([])
        for letter in (b"1", b"2")
    ]
    encoded = _kept(payload.encode_call((Reference(first), Holder(LARGE), [Reference(second)]), {}, (Reference,)))
    whole = encoded.with_payloads([reference.result for reference in encoded.attached])
    (value, own, nested), _ = payload.decode(whole)
    assert value.content[:1] == b"1"
    assert own == Holder(LARGE)
    assert payload.decode(nested[0].result).content[:1] == b"2"


def test_buffers_count_for_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MAX_PAYLOAD_BYTES", 2 * len(LARGE) - 1)
    with pytest.raises(errors.PayloadTooLarge, match=str(payload.MAX_PAYLOAD_BYTES)):
        payload.encode_result([Holder(LARGE), Holder(LARGE + b"x")], (Reference,))
    one = _kept(payload.encode_result(Holder(LARGE), (Reference,))).with_payloads([])
    encoded = payload.encode_call((Reference(one), [Reference(one)]), {}, (Reference,))
    with pytest.raises(errors.PayloadTooLarge, match=str(payload.MAX_PAYLOAD_BYTES)):
        encoded.with_payloads([one, one])


def test_a_large_buffer_on_an_exception_does_not_stop_it() -> None:
    arrived = _over_a_hop(_raised(ValueError("too large", Holder(LARGE))))
    assert isinstance(arrived, errors.UserCodeError)
    assert "too large" in str(arrived)


def test_bytes_that_are_no_pickle_are_an_error_of_the_payload() -> None:
    with pytest.raises(errors.PayloadError, match="cannot rebuild a pickled value"):
        payload.decode(Payload(pb.ENCODING_PICKLE, b"nonsense"))


def test_plain_bytes_stay_bytes_and_an_unknown_encoding_is_named() -> None:
    assert payload.decode(Payload(pb.ENCODING_BYTES, b"body")) == b"body"
    with pytest.raises(errors.PayloadError, match="encoding 77"):
        payload.decode(Payload(77, b""))


class OwnError(Exception):
    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"code {code}")
        self.code = code
        self.hint = hint


@dataclass(frozen=True)
class FrozenError(Exception):
    reason: str


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class HoldsALock(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class NeedsTwo(Exception):
    def __new__(cls, one: str, two: str) -> NeedsTwo:
        return super().__new__(cls, one, two)

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class Leave(SystemExit):
    pass


def test_an_exception_keeps_type_attributes_and_message_whatever_its_constructor_takes() -> None:
    error = _over_a_hop(OwnError(7, hint="try again"))
    assert isinstance(error, OwnError)
    assert (error.code, error.hint, str(error)) == (7, "try again", "code 7")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 2),
        KeyError("key"),
        FileNotFoundError(2, "No such file or directory", "here.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        ModuleNotFoundError("No module named 'x'", name="x"),
        FrozenError("thawed"),
        ExceptionGroup("many", [ValueError(1), TypeError(2)]),
        errors.RequestRejected("no room"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exceptions_of_every_kind_arrive_as_they_were(error: BaseException) -> None:
    arrived = _over_a_hop(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    fields = ("args", "code", "value", "name", "filename", "errno", "start", "reason", "message")
    assert [repr(getattr(arrived, name, None)) for name in fields] == [
        repr(getattr(error, name, None)) for name in fields
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [(HoldsALock("held"), "held"), (Unprintable(), "no message"), (NeedsTwo("a", "b"), "ab")],
    ids=["an attribute that does not pickle", "a str() that raises", "a __new__ that takes other arguments"],
)
def test_what_cannot_be_rebuilt_arrives_as_user_code_error_with_type_message_and_traceback(
    error: Exception, message: str
) -> None:
    arrived = _over_a_hop(_raised(error))
    assert error_detail.encode_error(error).pickled == b""
    assert isinstance(arrived, errors.UserCodeError)
    assert arrived.type_name == f"{type(error).__module__}.{type(error).__qualname__}"
    assert message in str(arrived)
    assert type(error).__name__ in arrived.remote_traceback


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), Leave(3), KeyboardInterrupt(3), asyncio.CancelledError(3), StopIteration(3), StopAsyncIteration(3)],
    ids=lambda error: type(error).__name__,
)
def test_what_would_end_the_callers_process_task_or_loop_is_an_error_of_user_code(error: BaseException) -> None:
    arrived = _over_a_hop(_raised(error))
    assert isinstance(arrived, errors.UserCodeError)
    assert arrived.type_name.endswith(type(error).__name__)
    assert str(arrived).endswith(": 3")


def test_an_exception_of_any_size_fits_into_a_frame() -> None:
    error = _raised(ValueError("\N{GRINNING FACE}" * 1_000_000))
    error.big = b"x" * FRAME_BYTES  # type: ignore[attr-defined]
    detail = error_detail.encode_error(error)
    assert detail.ByteSize() < FRAME_BYTES
    assert isinstance(error_detail.decode_error(detail), errors.UserCodeError)
    large = OwnError(1, hint="x" * (error_detail.MAX_ERROR_BYTES - 1000))
    assert isinstance(_over_a_hop(large), OwnError)


def test_a_message_that_is_no_unicode_text_arrives() -> None:
    assert str(_over_a_hop(ValueError("caf\udce9"))) == "caf\udce9"
    assert error_detail.encode_error(ValueError("caf\udce9")).message == "caf?"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.DeadlineExceeded("late"), pb.ERROR_KIND_DEADLINE),
        (errors.RequestRejected("full"), pb.ERROR_KIND_REJECTED),
        (errors.MethodNotFound("none"), pb.ERROR_KIND_BAD_CALL),
        (TimeoutError("of the user"), pb.ERROR_KIND_USER),
        (type("Mine", (errors.RequestRejected,), {})("of the user"), pb.ERROR_KIND_USER),
    ],
    ids=["deadline", "rejected", "method", "user", "a user's subclass of ours"],
)
def test_whose_fault_an_error_is(error: Exception, kind: int) -> None:
    assert error_detail.encode_error(error).kind == kind


def _user_code() -> None:
    try:
        payload.decode(Payload(77, b""))
    except errors.PayloadError as error:
        raise ValueError("wrong input") from error


def test_the_traceback_shows_the_users_frames_of_the_whole_chain_and_none_of_ours() -> None:
    try:
        _user_code()
    except ValueError as error:
        text = error_detail.encode_error(error).traceback
    assert text.count("_user_code") >= 2
    assert "The above exception was the direct cause" in text
    assert "cannot be read here" in text
    assert "mesh/payload.py" not in text
    assert text.endswith("ValueError: wrong input\n")


def test_an_error_that_only_our_code_raised_has_no_traceback() -> None:
    assert error_detail.encode_error(errors.RequestRejected("never raised")).traceback == ""


def test_without_frames_of_the_user_the_notes_say_where_and_arrive_once() -> None:
    error = KeyError("n")
    error.add_note("while the graph read input['n']")
    assert error_detail.encode_error(error).traceback == "while the graph read input['n']"
    arrived = _over_a_hop(_raised(_over_a_hop(error)))
    assert arrived.__notes__ == ["while the graph read input['n']"]


def test_over_many_hops_the_first_traceback_is_shown_once_and_nothing_grows() -> None:
    error = _raised(OwnError(1, hint="h"))
    error.add_note("the user's note")
    once = _over_a_hop(error)
    again = _over_a_hop(_raised(_over_a_hop(_raised(once))))
    assert isinstance(again, OwnError)
    notes = again.__notes__
    assert notes[0] == "the user's note"
    assert len(notes) == 2
    assert notes[1].startswith("in the replica:\nTraceback (most recent call last):")
    assert notes[1].count("Traceback") == 1
    assert error_detail.encode_error(again).ByteSize() == error_detail.encode_error(once).ByteSize()
    assert again.__mesh_detail__.message == "code 1"  # type: ignore[attr-defined]


def test_user_code_error_keeps_the_name_of_the_original_over_hops() -> None:
    twice = _over_a_hop(_raised(_over_a_hop(_raised(HoldsALock("held")))))
    assert isinstance(twice, errors.UserCodeError)
    assert twice.type_name.endswith(".HoldsALock")
    assert str(twice).count("HoldsALock") == 1
