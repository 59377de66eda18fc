"""The two ends of a session by situations, with the real sizes. What holds for every course is in test_simulation."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from mesh.frames import BATCH_BYTES, FRAME_BYTES, WINDOW, CallerEnd, ReplicaEnd, item_cost
from mesh.v1.payload_pb2 import ERROR_KIND_DEADLINE, ERROR_KIND_USER, ErrorDetail
from mesh.v1.replica_pb2 import SessionRequest, SessionResponse
from tests.unit.frames.simulated_memory import EndSegments, Memory


class Listener:
    """A call at either end that writes down what it is told; no buffers are not written down."""

    def __init__(self) -> None:
        self.model_id = ""
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: self.told.append((name, *(arg for arg in args if arg != ())))


class Session:
    """Two ends; a host that takes every call and writes it down."""

    def __init__(self) -> None:
        self.caller = CallerEnd()
        self.replica = ReplicaEnd(self)
        self.opened_calls: dict[int, tuple[Any, ...]] = {}
        self.works: dict[int, Listener] = {}

    def opened(self, call_id: int, *args: Any) -> Any:
        self.opened_calls[call_id] = tuple(arg for arg in args if arg != ())
        self.works[call_id] = Listener()
        return self.works[call_id]

    def open(self, body: bytes = b"body", method: str = "__call__", **options: Any) -> tuple[int, Any]:
        listener = Listener()
        return self.caller.open(listener, method, 1, body, 0, "id", **options), listener

    def to_replica(self) -> SessionRequest | None:
        if (batch := self.caller.take()) is not None:
            self.replica.receive(SessionRequest.FromString(batch.SerializeToString()))
        return batch

    def to_caller(self) -> SessionResponse | None:
        if (batch := self.replica.take(0)) is not None:
            self.caller.receive(SessionResponse.FromString(batch.SerializeToString()))
        return batch

    def flush(self) -> None:
        while self.to_replica() is not None or self.to_caller() is not None:
            pass


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_usual_call_is_one_frame_each_way_with_no_optional_column(session: Session) -> None:
    call_id, call = session.open()
    request = session.to_replica()
    session.replica.reply(call_id, 1, b"answer")
    response = session.to_caller()
    assert request is not None
    assert {field.name for field, _ in request.ListFields()} == {
        "method_names", "open_ids", "open_payloads", "open_request_ids"}  # fmt: skip
    assert response is not None
    assert {field.name for field, _ in response.ListFields()} == {"reply_ids", "reply_payloads"}
    assert call.told == [("replied", 1, b"answer")]


def test_what_differs_from_the_default_arrives_with_its_own_frame(session: Session) -> None:
    session.caller.open(Listener(), "a", 1, b"1", 0, "one")
    session.caller.open(Listener(), "b", 4, b"2", 250, "two", b"context", True)
    session.caller.open(Listener(), "a", 1, b"3", 0, "three")
    session.to_replica()
    assert list(session.opened_calls.values()) == [
        ("a", 1, b"1", 0, "one", b"", False),
        ("b", 4, b"2", 250, "two", b"context", True),
        ("a", 1, b"3", 0, "three", b"", False),
    ]


def test_a_method_is_named_once_in_a_session(session: Session) -> None:
    session.open(method="predict")
    first = session.to_replica()
    call_id, _ = session.open(method="predict")
    second = session.to_replica()
    assert first is not None
    assert list(first.method_names) == ["predict"]
    assert second is not None
    assert not second.method_names
    assert session.opened_calls[call_id][0] == "predict"


def test_ids_beyond_32_bits_are_sent(session: Session) -> None:
    session.caller._last_id = 2**32 + 5
    call_id, call = session.open()
    session.to_replica()
    session.replica.reply(call_id, 1, b"")
    session.to_caller()
    assert call.told == [("replied", 1, b"")]


def test_nothing_to_say_is_no_batch_and_an_owed_one_is_empty(session: Session) -> None:
    assert session.caller.take() is None
    assert session.replica.take(3) is None
    session.replica.owes_batch = True
    batch = session.replica.take(3)
    assert batch is not None
    session.caller.receive(batch)
    assert session.caller.ongoing_elsewhere == 3
    assert session.replica.take(3) is None


def test_a_draining_replica_says_so_in_every_batch(session: Session) -> None:
    session.replica.draining = session.replica.owes_batch = True
    assert not session.caller.draining
    session.to_caller()
    assert session.caller.draining


@pytest.mark.parametrize("size", [0, 1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 2 * FRAME_BYTES, 7_654_321])
def test_arguments_and_results_of_any_size_arrive_whole_in_the_fewest_frames(session: Session, size: int) -> None:
    body = bytes(i % 251 for i in range(size))
    call_id, call = session.open(body)
    frames = 0
    while (request := session.to_replica()) is not None:
        frames += len(request.open_ids) + len(request.item_ids)
    assert frames == max(1, -(-size // FRAME_BYTES))
    assert session.opened_calls[call_id][2] == body
    session.replica.reply(call_id, 5, body)
    session.flush()
    assert call.told == [("replied", 5, body)]


def test_a_call_opened_beside_a_large_one_goes_with_the_next_batch(session: Session) -> None:
    session.open(b"x" * 50 * BATCH_BYTES)
    session.to_replica()
    small, _ = session.open()
    session.to_replica()
    assert small in session.opened_calls


def test_a_large_answer_goes_on_while_small_ones_fill_every_batch(session: Session) -> None:
    large, call = session.open()
    many = [session.open()[0] for _ in range(200)]
    session.flush()
    session.replica.reply(large, 1, b"x" * 8 * FRAME_BYTES)
    for call_id in many:
        session.replica.reply(call_id, 1, b"x" * (FRAME_BYTES - 1000))
    for _ in range(8):
        batch = session.to_caller()
        assert batch is not None
        assert batch.reply_ids
    assert [name for name, *_ in call.told] == ["replied"]


def test_a_stream_of_small_items_gets_as_many_bytes_as_a_large_payload_beside_it(session: Session) -> None:
    session.open(b"x" * 50 * FRAME_BYTES)
    stream, _ = session.open(items_follow=True)
    session.to_replica()
    session.replica.give_credit(stream, 100 * WINDOW)
    session.to_caller()
    for _ in range(10_000):
        session.caller.send_item(stream, 1, b"tiny" * 100)
    batch = session.to_replica()
    assert batch is not None
    tiny = sum(
        len(body) for call_id, body in zip(batch.item_ids, batch.item_payloads, strict=True) if call_id == stream
    )
    assert tiny > BATCH_BYTES // 4


def test_items_go_while_credit_is_positive_and_wait_until_some_is_given_back(session: Session) -> None:
    call_id, call = session.open()
    session.to_replica()
    body = b"x" * (WINDOW // 2)
    for _ in range(4):
        session.replica.send_item(call_id, 1, body)
    assert not session.replica.writable(call_id)
    session.flush()
    assert len(call.told) == 2
    session.caller.consumed(call_id, len(body))
    session.flush()
    assert len(call.told) == 3
    assert ("credited",) in session.works[call_id].told


def test_room_is_the_credit_that_is_left_and_none_without_a_call(session: Session) -> None:
    call_id, _ = session.open()
    assert session.replica.room(call_id) == 0
    session.to_replica()
    assert session.replica.room(call_id) == WINDOW
    session.replica.send_item(call_id, 1, b"x" * 1000)
    assert session.replica.room(call_id) == WINDOW - item_cost(1000)
    session.replica.send_item(call_id, 1, b"x" * WINDOW)
    assert session.replica.room(call_id) == 0
    session.replica.end(call_id)
    assert session.replica.room(call_id) == 0


def test_many_items_are_consumed_at_once_as_one_by_one(session: Session) -> None:
    call_id, _ = session.open()
    session.to_replica()
    half = WINDOW // 2 // item_cost(0)
    assert not session.caller.consumed(call_id, 0, half - 1)
    assert session.caller.consumed(call_id, 0), "half a window is worth a frame"
    batch = session.caller.take()
    assert batch is not None
    assert list(batch.credit_amounts) == [WINDOW // 2]
    assert not session.caller.consumed(call_id + 1, WINDOW)


def test_small_items_are_bounded_in_number(session: Session) -> None:
    call_id, call = session.open()
    session.to_replica()
    for _ in range(10_000):
        session.replica.send_item(call_id, 1, b"")
    session.flush()
    assert len(call.told) == WINDOW // item_cost(0)


def test_a_caller_gives_items_at_once_and_they_go_when_there_is_credit(session: Session) -> None:
    call_id, call = session.open(items_follow=True)
    session.caller.send_item(call_id, 1, b"first")
    session.to_replica()
    assert session.works[call_id].told == []
    session.replica.give_credit(call_id, WINDOW)
    session.to_caller()
    assert call.told == [("credited",)]
    session.caller.send_item(call_id, 4, b"second")
    assert session.caller.writable(call_id), "what waits for its turn only does not wait for credit"
    session.caller.half_close(call_id)
    session.flush()
    assert session.works[call_id].told == [("item", 1, b"first"), ("item", 4, b"second"), ("half_closed",)]
    assert not session.caller.writable(call_id)


def test_half_closing_keeps_the_credit_of_the_answer(session: Session) -> None:
    call_id, call = session.open(items_follow=True)
    session.to_replica()
    for _ in range(3):
        session.replica.send_item(call_id, 1, b"x" * (WINDOW // 2))
    session.flush()
    session.caller.consumed(call_id, WINDOW // 2)
    session.caller.half_close(call_id)
    session.flush()
    assert [name for name, *_ in call.told] == ["item", "item", "item"]


@pytest.mark.parametrize("size", [4, 2 * FRAME_BYTES], ids=["small arguments", "large arguments"])
def test_nothing_goes_out_for_a_call_that_did_not_say_that_items_follow(session: Session, size: int) -> None:
    call_id, _ = session.open(b"x" * size)
    session.to_replica()
    session.replica.send_item(call_id, 1, b"item")
    session.to_caller()
    session.caller.consumed(call_id, 4)
    session.caller.half_close(call_id)
    session.caller.send_item(call_id, 1, b"item")
    assert not session.caller.writable(call_id)
    assert session.caller.take() is None


@pytest.mark.parametrize("ending", ["end", "error"])
def test_items_that_are_held_back_arrive_before_the_end(session: Session, ending: str) -> None:
    call_id, call = session.open()
    session.to_replica()
    for _ in range(3):
        session.replica.send_item(call_id, 1, b"x" * WINDOW)
    if ending == "end":
        session.replica.end(call_id)
    else:
        session.replica.error(call_id, ErrorDetail(message="no"))
    for count in (1, 2, 3):
        session.flush()
        assert len(call.told) == count + (count == 3)
        session.caller.consumed(call_id, WINDOW)
    assert call.told[-1] == (("ended",) if ending == "end" else ("failed", ErrorDetail(message="no")))


def test_a_call_cancelled_before_it_was_sent_never_reaches_the_replica(session: Session) -> None:
    first, _ = session.open()
    second, call = session.open()
    third, _ = session.open()
    session.caller.cancel(second)
    session.to_replica()
    assert list(session.opened_calls) == [first, third]
    assert list(session.caller.calls) == [first, third]
    assert call.told == []


def test_a_cancelled_call_keeps_its_slot_until_its_work_has_ended(session: Session) -> None:
    call_id, call = session.open()
    session.to_replica()
    session.caller.cancel(call_id)
    session.caller.cancel(call_id)
    batch = session.to_replica()
    assert batch is not None
    assert list(batch.cancel_ids) == [call_id]
    assert session.works[call_id].told == [("cancelled",)]
    session.replica.send_item(call_id, 1, b"nobody reads it")
    session.flush()
    assert len(session.caller.calls) == len(session.replica.calls) == 1
    session.replica.reply(call_id, 1, b"x" * 10 * FRAME_BYTES)
    batch = session.to_caller()
    assert batch is not None
    assert list(batch.end_ids) == [call_id], "a result that nobody wants is not sent"
    assert not session.caller.calls
    assert call.told == []


def test_a_cancelled_upload_stops(session: Session) -> None:
    call_id, _ = session.open(b"x" * 20 * BATCH_BYTES)
    session.to_replica()
    session.caller.cancel(call_id)
    batch = session.to_replica()
    assert batch is not None
    assert not batch.item_ids
    session.flush()
    assert not session.caller.calls
    assert not session.replica.calls
    assert call_id not in session.opened_calls


def test_a_cancelled_download_stops(session: Session) -> None:
    call_id, _ = session.open()
    session.to_replica()
    session.replica.reply(call_id, 1, b"x" * 20 * BATCH_BYTES)
    session.to_caller()
    session.caller.cancel(call_id)
    session.to_replica()
    batch = session.to_caller()
    assert batch is not None
    assert list(batch.end_ids) == [call_id]
    assert session.to_caller() is None
    assert not session.caller.calls


def test_a_large_call_that_is_rejected_leaves_no_slot_behind() -> None:
    session = Session()
    session.opened = lambda call_id, *_: session.replica.reject(call_id)  # type: ignore[method-assign,assignment]
    call_id, call = session.open(b"x" * 3 * FRAME_BYTES)
    session.flush()
    assert call.told == [("rejected",)]
    assert call_id not in session.replica.calls


def test_finished_batches_leave_in_the_order_in_which_they_were_filled(session: Session) -> None:
    ids = [session.open(b"x" * FRAME_BYTES)[0] for _ in range(20)]
    session.flush()
    assert list(session.opened_calls) == ids
    answered: list[int] = []
    for call_id in ids:
        session.replica.reply(call_id, 1, bytes([call_id]) * FRAME_BYTES)
    while (batch := session.to_caller()) is not None:
        answered += [body[0] for body in batch.reply_payloads]
    assert answered == ids


def test_when_the_session_is_cut_only_calls_that_were_sent_may_have_run(session: Session) -> None:
    _, sent = session.open()
    session.caller.take()
    finished = [session.open(b"x" * FRAME_BYTES)[1] for _ in range(10)]
    _, unsent = session.open()
    session.caller.cut()
    assert sent.told == [("cut",)]
    assert unsent.told == [("rejected",)]
    assert all(call.told == [("rejected",)] for call in finished)
    session.caller.cut()
    assert sent.told == [("cut",)]
    assert session.caller.take() is None


def test_after_a_cut_the_replica_cancels_its_calls_and_what_they_say_goes_nowhere(session: Session) -> None:
    ended, _ = session.open()
    running, _ = session.open()
    session.to_replica()
    session.replica.reply(ended, 1, b"x" * 10 * FRAME_BYTES)
    session.replica.cut()
    assert session.works[ended].told == []
    assert session.works[running].told == [("cancelled",)]
    session.replica.send_item(running, 1, b"item")
    session.replica.give_credit(running, 5)
    session.replica.consumed(running, WINDOW)
    session.replica.error(running, ErrorDetail())
    assert session.replica.take(0) is None


def test_credit_for_a_call_that_has_ended_is_not_sent(session: Session) -> None:
    call_id, _ = session.open()
    session.to_replica()
    session.replica.send_item(call_id, 1, b"x" * WINDOW)
    session.replica.end(call_id)
    session.to_caller()
    session.caller.consumed(call_id, WINDOW)
    session.caller.give_credit(call_id, WINDOW)
    assert session.caller.take() is None
    session.replica.give_credit(call_id, WINDOW)
    assert session.replica.take(0) is None


def test_columns_of_different_lengths_are_refused(session: Session) -> None:
    batch = SessionRequest(method_names=["m"], open_ids=[1, 2], open_payloads=[b"", b""], open_request_ids=["only one"])
    with pytest.raises(ValueError, match="shorter"):
        session.replica.receive(batch)


def test_what_waits_for_the_verdict_on_shared_memory_is_due_when_it_comes(session: Session) -> None:
    memory = Memory()
    for end in (session.caller, session.replica):
        end.share(EndSegments(memory, Random(1), can_open=True, fails=False))
    session.open(buffers=memory.lend([b"large"]))
    session.to_caller()  # the replica's probe comes by itself, its verdict later
    session.to_replica()
    assert not session.opened_calls, "the buffer is held back"
    session.to_caller()
    assert session.caller.is_due
    session.to_replica()
    assert session.opened_calls
    assert not session.caller.is_due


# --- load, and who waits for room


def test_batch_tells_the_load_of_the_replica(session: Session) -> None:
    call_id, _ = session.open()
    session.to_replica()
    session.replica.reply(call_id, 1, b"answer")
    batch = session.replica.take(3)
    assert batch is not None
    batch.service_time_us = 5000
    session.caller.receive(batch)
    assert (session.caller.ongoing_elsewhere, session.caller.service_time_us) == (3, 5000)


def test_waiting_is_told_at_once_and_with_every_batch(session: Session) -> None:
    assert session.to_replica() is None
    assert session.caller.say_waits(True)
    assert session.to_replica() is not None
    assert session.replica.caller_waits
    assert session.to_replica() is None, "once is enough"
    session.open()
    session.to_replica()
    assert session.replica.caller_waits


def test_end_of_waiting_is_told_with_the_next_batch(session: Session) -> None:
    session.caller.say_waits(True)
    session.to_replica()
    assert not session.caller.say_waits(False)
    assert session.to_replica() is None, "it is nothing to send a batch for"
    assert not session.caller.say_waits(True), "and so the replica knows it still"
    assert session.to_replica() is None
    session.caller.say_waits(False)
    session.open()
    session.to_replica()
    assert not session.replica.caller_waits


def test_end_of_waiting_is_told_when_the_replica_says_something(session: Session) -> None:
    session.caller.say_waits(True)
    session.to_replica()
    assert not session.caller.take_back_waits(), "calls do wait"
    session.caller.say_waits(False)
    assert session.caller.take_back_waits()
    assert session.to_replica() is not None
    assert not session.replica.caller_waits
    assert not session.caller.take_back_waits()


def test_waiting_that_was_over_before_a_batch_was_sent_is_not_told(session: Session) -> None:
    session.caller.say_waits(True)
    session.caller.say_waits(False)
    assert session.to_replica() is None


def test_calls_that_raise_in_a_row_are_counted_until_one_ends_otherwise(session: Session) -> None:
    user, deadline = ErrorDetail(kind=ERROR_KIND_USER, type_name="E"), ErrorDetail(kind=ERROR_KIND_DEADLINE)
    for detail, failed in [(user, 1), (user, 2), (deadline, 2), (None, 0), (user, 1)]:
        call_id, _ = session.open()
        session.to_replica()
        if detail is None:
            session.replica.reply(call_id, 1, b"answer")
        else:
            session.replica.error(call_id, detail)
        session.to_caller()
        assert session.caller.failed_in_a_row == failed
        assert session.caller.answers_well is (detail is None)


def test_calls_for_a_model_that_raise_are_no_sign_of_a_replica_that_fails(session: Session) -> None:
    """Calls for one model go to the same replica, so one bad model id would make it look as if it alone failed."""
    for model_id, failed in [("", 1), ("bad", 1), ("", 2)]:
        call_id, call = session.open()
        call.model_id = model_id
        session.to_replica()
        session.replica.error(call_id, ErrorDetail(kind=ERROR_KIND_USER, type_name="E"))
        session.to_caller()
        assert session.caller.failed_in_a_row == failed


def test_call_is_sent_when_its_batch_was_taken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = session.open()
    assert not session.caller.has_sent(first)
    monkeypatch.setattr("mesh.frames.caller.DIRECT_BYTES", 1)
    second, _ = session.open()
    assert not session.caller.has_sent(first), "a batch that is made has not gone"
    assert not session.caller.has_sent(second)
    session.to_replica()
    assert session.caller.has_sent(first)
    assert session.caller.has_sent(second)
