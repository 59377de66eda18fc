"""A replica's life is a table: every cell is walked, and what is not in the table is an error that says so."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.config import DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.state import (
    KILL_GRACE_S,
    TRANSITIONS,
    ImpossibleEvent,
    Replica,
    ReplicaEvent,
    ReplicaState,
    drained,
    moved,
    revision_key,
)

REPLICA = Replica("Model#1", "app", "Model", "r1", since_s=1.0, grace_s=20.0)
CELLS = [(state, event) for state in ReplicaState for event in ReplicaEvent]
IMPOSSIBLE = {(ReplicaState.STOPPED, event) for event in ReplicaEvent} | {
    (ReplicaState.DRAINING, ReplicaEvent.DRAIN),  # it is decided once
    (ReplicaState.DRAINING, ReplicaEvent.SILENT),
}
SPEC = DeploymentSpec("app", "Model", Runtime("python", ("/a",), "/"), import_path="module:Model", source_sha256="1")


@pytest.mark.parametrize(("state", "event"), CELLS, ids=lambda cell: cell.value)
def test_each_cell_leads_on_or_says_that_it_cannot_be(state: ReplicaState, event: ReplicaEvent) -> None:
    replica = replace(REPLICA, state=state)
    if (state, event) in IMPOSSIBLE:
        with pytest.raises(ImpossibleEvent, match=rf"Model#1: event '{event.value}' in state '{state.value}'"):
            moved(replica, event, 5.0)
        return
    after = moved(replica, event, 5.0)
    assert after.state is TRANSITIONS[state][event]
    assert after.since_s == (1.0 if after.state is state else 5.0)


@pytest.mark.parametrize("event", ReplicaEvent, ids=lambda event: event.value)
def test_nothing_leads_back(event: ReplicaEvent) -> None:
    order = list(ReplicaState)
    for state, row in TRANSITIONS.items():
        if event in row:
            assert order.index(row[event]) >= order.index(state)


@pytest.mark.parametrize("state", [s for s in ReplicaState if s is not ReplicaState.STOPPED], ids=lambda s: s.value)
def test_every_end_of_a_process_is_its_end(state: ReplicaState) -> None:
    assert moved(replace(REPLICA, state=state), ReplicaEvent.ENDED, 5.0).state is ReplicaState.STOPPED


@pytest.mark.parametrize(
    ("state", "kill_at_s"),
    [
        pytest.param(ReplicaState.RUNNING, 5.0 + 20.0 + KILL_GRACE_S, id="one that runs may end what it has begun"),
        pytest.param(ReplicaState.STARTING, 5.0, id="one that starts has begun nothing and is killed"),
    ],
)
def test_draining_is_bounded(state: ReplicaState, kill_at_s: float) -> None:
    assert drained(replace(REPLICA, state=state), "fewer are wanted", 5.0).kill_at_s == kill_at_s


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"import_path": "module:Other"}, id="another target"),
        pytest.param({"source_sha256": "2"}, id="another source"),
        pytest.param({"init_blob": "ab"}, id="other arguments"),
        pytest.param({"version": "2"}, id="another version"),
        pytest.param({"runtime": Runtime("python", ("/b",), "/")}, id="another path to the code"),
        pytest.param({"renewal": "ab"}, id="new replicas of the same code"),
        pytest.param({"import_path": "", "target_blob": "ab"}, id="pickled instead of imported"),
        pytest.param({"config": DeploymentConfig(num_gpus=1)}, id="GPUs, which are given at the start of a process"),
    ],
)
def test_a_revision_is_code_and_arguments(changes: dict[str, object]) -> None:
    assert revision_key(replace(SPEC, **changes)) != revision_key(SPEC)


def test_other_settings_are_no_part_of_the_revision() -> None:
    assert revision_key(replace(SPEC, config=DeploymentConfig(num_replicas=7, threads=2))) == revision_key(SPEC)


def test_the_drawing_in_the_documents_is_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "life_of_a_change.md").read_text()
    drawn = set()
    for before, after, events in re.findall(r"^ +([A-Z]+) --> ([A-Z]+): (.+)$", page, re.MULTILINE):
        drawn |= {(before, event, after) for event in events.split(", ")}
    table = {
        (before.name, event.value, after.name)
        for before, row in TRANSITIONS.items()
        for event, after in row.items()
        if after is not before
    }
    assert drawn == table
