"""Where a router sends calls for a multiplexed model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic

import pytest

from mesh.context import RequestContext, encode_call_context
from mesh.router.candidate import REPORT_LIFETIME_S, Candidate
from mesh.router.ejection import ERRORS
from mesh.router.endpoints import Endpoint
from mesh.router.model_cost import LOAD_WORTH
from tests.unit.router.replica_in_memory import Asking, ReplicaInMemory, settle

CALLS = 12


@pytest.fixture(autouse=True)
async def sessions_end() -> AsyncIterator[None]:
    """No session outlives the loop of its test."""
    yield
    await Asking.close_all()


def _replicas() -> list[ReplicaInMemory]:
    return [ReplicaInMemory(f"Model#{letter}") for letter in "abcd"]


async def _ask_one_by_one(asking: Asking, model_id: str, times: int) -> list[str]:
    """The replicas that were asked for the model, each call answered before the next one."""
    asked = []
    for number in range(times):
        body = f"{model_id}{number}".encode()
        asking.ask(body, model_id=model_id)
        await settle()
        (replica,) = [replica for replica in asking.replicas.values() if body in replica.bodies]
        asked.append(replica.replica_id)
        replica.answer(body)
        await settle()
    return asked


async def test_a_model_stays_where_its_first_call_went() -> None:
    asking = Asking(*_replicas())
    (replica_id,) = set(await _ask_one_by_one(asking, "m", CALLS))
    asking.replicas[replica_id].tell_models("m")
    await settle()
    assert set(await _ask_one_by_one(asking, "m", CALLS)) == {replica_id}


async def test_routers_that_know_nothing_choose_the_same_replica() -> None:
    first = [(await _ask_one_by_one(Asking(*_replicas()), model_id, 1))[0] for model_id in "mnopqr"]
    again = [(await _ask_one_by_one(Asking(*_replicas()), model_id, 1))[0] for model_id in "mnopqr"]
    assert first == again
    assert len(set(first)) > 1, "models are spread over the replicas"


async def test_a_replica_that_says_it_holds_the_model_is_preferred_to_the_usual_one() -> None:
    (usual,) = await _ask_one_by_one(Asking(*_replicas()), "m", 1)
    asking = Asking(*_replicas())
    for number in range(40):  # until every replica has a session to speak over
        asking.ask(b"warm%d" % number)
    await settle()
    other = next(replica for replica in asking.replicas.values() if replica.replica_id != usual)
    other.tell_models("m")
    for replica in asking.replicas.values():
        for asked in replica.asked:
            replica.answer(asked.body)
    await settle()
    assert set(await _ask_one_by_one(asking, "m", CALLS)) == {other.replica_id}


async def test_a_hot_model_spreads_when_its_queue_is_so_much_longer() -> None:
    asking = Asking(*_replicas())
    for number in range(LOAD_WORTH + 1):
        asking.ask(b"%d" % number, model_id="m")
    await settle()
    assert sorted(len(replica.bodies) for replica in asking.replicas.values()) == [0, 0, 0, LOAD_WORTH + 1]
    for number in range(3 * LOAD_WORTH):
        asking.ask(b"more%d" % number, model_id="m")
    await settle()
    assert all(replica.bodies for replica in asking.replicas.values())


async def test_a_full_holder_is_no_reason_to_wait() -> None:
    replicas = [ReplicaInMemory(f"Model#{letter}", 1) for letter in "ab"]
    asking = Asking(*replicas, max_ongoing_requests=1)
    for number in range(2):
        asking.ask(b"%d" % number, model_id="m")
    await settle()
    assert [len(replica.bodies) for replica in replicas] == [1, 1]


async def test_a_bad_model_id_does_not_keep_other_models_from_its_replica() -> None:
    asking = Asking(*_replicas())
    (replica_id,) = await _ask_one_by_one(asking, "m", 1)
    replica = asking.replicas[replica_id]
    replica.tell_models("m", "bad")  # it tries, and all that is asked of it raises
    await settle()
    for number in range(2 * ERRORS):
        body = b"bad%d" % number
        asking.ask(body, model_id="bad")
        await settle()
        replica.fail(body, LookupError("no such model"))
        await settle()
        asking.router.tick(monotonic())
    assert set(await _ask_one_by_one(asking, "m", 1)) == {replica_id}


@pytest.mark.parametrize(
    ("parent", "model_id", "sent"),
    [
        pytest.param(None, "m", "m", id="named by the caller"),
        pytest.param("n", "", "n", id="inherited from the request"),
        pytest.param("n", "m", "m", id="named in spite of what the request wants"),
        pytest.param(None, "", "", id="no model"),
    ],
)
async def test_the_model_travels_with_the_call(parent: str | None, model_id: str, sent: str) -> None:
    asking = Asking(replica := ReplicaInMemory("Model#a"))
    wire = encode_call_context("", ("X#1",), parent or "")
    request = None if parent is None else RequestContext("r", chain=("X#1",), model_id=parent, wire=wire)
    asking.ask(model_id=model_id, parent=request)
    await settle()
    assert [asked.model_id for asked in replica.asked] == [sent]


def test_what_is_expected_of_a_replica_is_forgotten_after_a_while() -> None:
    candidate = Candidate(Endpoint("Model#a", "a"), lambda _: pytest.fail("no session is needed"))
    candidate.expect("m", 10.0)
    assert (candidate.holds("m", 10.0), candidate.holds("n", 10.0)) == (True, False)
    assert not candidate.holds("m", 10.0 + REPORT_LIFETIME_S)
