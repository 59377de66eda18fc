"""What the tables for people hold, and what machines get instead."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mesh.application_status import ApplicationStatus, DeploymentStatus, MeshStatus, Phase, ReplicaStatus
from mesh.cli import list as list_module
from mesh.cli import status as status_module
from mesh.cli.progress import describe
from mesh.cli.tables import print_table

PRICES = DeploymentStatus(
    name="Prices",
    phase=Phase.DEPLOYING,
    message="KeyError: 'sugar'\nthe traceback",
    failed_starts=1,
    restarts=2,
    num_replicas=2,
    replicas=(ReplicaStatus("Prices#1", "RUNNING", 12, 70.0), ReplicaStatus("Prices#2", "STARTING", 0, 0.4)),
)
SHOP = DeploymentStatus("Shop", Phase.RUNNING, "", 0, 0, 1, (ReplicaStatus("Shop#3", "RUNNING", 13, 3.0),))
STATUS = MeshStatus(
    url="http://localhost:8000/",
    owner_pid=1,
    engine_pid=2,
    run_directory="/run",
    applications=(ApplicationStatus("default", Phase.DEPLOYING, "", "/shop", "Shop", (PRICES, SHOP)),),
    name="kept",
)
EMPTY = MeshStatus("", 1, 2, "/run", ())


def test_status_has_a_row_for_each_application_deployment_and_replica() -> None:
    assert status_module.rows(STATUS) == [
        ("default", "http://localhost:8000/shop", "", "DEPLOYING", "", "0 s", "", ""),
        ("", "Prices", "1/2 replicas", "DEPLOYING", "", "0 s", "2", "KeyError: 'sugar'"),
        ("", "", "Prices#1", "RUNNING", "12", "1 min", "", ""),
        ("", "", "Prices#2", "STARTING", "-", "0 s", "", ""),
        ("", "Shop", "1/1 replicas", "RUNNING", "", "0 s", "0", ""),
        ("", "", "Shop#3", "RUNNING", "13", "3 s", "", ""),
    ]
    assert status_module.headline(STATUS) == "mesh kept http://localhost:8000/  engine pid 2"
    assert status_module.troubles(STATUS) == ["", "default/Prices:", "  | KeyError: 'sugar'", "  | the traceback"]


def test_an_empty_mesh_says_so() -> None:
    assert status_module.rows(EMPTY) == []
    assert status_module.headline(EMPTY) == "mesh without HTTP  owner pid 1  engine pid 2\nnothing is deployed"


def test_the_status_says_what_keeps_the_controller_from_its_work() -> None:
    troubled = replace(STATUS, trouble="the store cannot be written")
    assert status_module.headline(troubled).splitlines()[1:] == ["the store cannot be written"]


def test_list_has_a_row_for_each_deployment() -> None:
    assert list_module.rows(STATUS) == [
        ("Prices", "default", "DEPLOYING", "1/2", ""),
        ("Shop", "default", "RUNNING", "1/1", "/shop"),
    ]
    assert json.loads(list_module.to_json(STATUS))[1] == {
        "deployment": "Shop",
        "application": "default",
        "phase": "RUNNING",
        "running_replicas": 1,
        "num_replicas": 1,
        "route_prefix": "/shop",
    }


def test_progress_in_a_line() -> None:
    assert describe(STATUS.applications[0]) == "default: Prices 1/2, Shop 1/1"


def test_a_table_without_a_terminal_has_no_colours_and_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 120
    print_table(("NAME", "STATE"), [(long, "RUNNING"), ("[red]b", "DEPLOY_FAILED")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == [long, "RUNNING"]
    assert lines[2].split() == ["[red]b", "DEPLOY_FAILED"]
