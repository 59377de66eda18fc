"""The clock on the wall may jump: nothing is decided by it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.controller.events import Applied, Detached, Launched, Said, apply
from mesh.controller.reconcile import Launch, reconcile
from mesh.controller.state import MeshState, ReplicaEvent

WALL = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
DAY_S = 86_400.0


@pytest.mark.parametrize("package", ["mesh", "sidecar", "http_bridge"])
def test_no_module_reads_the_clock_on_the_wall(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.submodule_search_locations is not None
    modules = list(Path(found.submodule_search_locations[0]).rglob("*.py"))
    assert len(modules) > 10
    uses = [f"{path.name}: {use}" for path in modules for use in _uses(ast.parse(path.read_text()))]
    assert uses == (["controller.py: time.time"] if package == "mesh" else []), "the story alone has the time of day"


def _uses(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            name = f"{node.value.id if isinstance(node.value, ast.Name) else node.value.attr}.{node.attr}"
            if name in WALL:
                yield name
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{alias.name}" for alias in node.names if f"time.{alias.name}" in WALL)


def test_controller_that_was_not_run_for_a_day_restarts_nothing() -> None:
    """A machine that was paused: its own clock leaps for everybody at once."""
    spec = DeploymentSpec(
        "app", "Model", Runtime("python", (), "/"), import_path="models:Model", config=DeploymentConfig()
    )
    state = apply(MeshState(), Applied(ApplicationSpec("app", "Model", (spec,))), 0.0)
    step = reconcile(state, 0.0)
    (launch,) = step.actions
    assert isinstance(launch, Launch)
    replica_id = launch.replica.replica_id
    state = apply(step.state, Launched(replica_id, pid=7), 0.1)
    state = apply(state, Said(replica_id, 1, ReplicaEvent.SAID_READY, pid=7), 0.2)
    state = reconcile(state, 0.2).state
    later = reconcile(state, DAY_S)
    assert later.actions == ()
    # A line that is found broken after the leap has its ten seconds from then on.
    cut = reconcile(apply(later.state, Detached(replica_id, 1), DAY_S), DAY_S)
    assert cut.actions == ()
    assert (
        reconcile(apply(cut.state, Said(replica_id, 2, ReplicaEvent.SAID_READY, pid=7), DAY_S + 1), 2 * DAY_S).actions
        == ()
    )
