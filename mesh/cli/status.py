"""``meshctl status``: what is wished for and what is there, for people or as JSON."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.cli.mesh_option import MeshOption, choose
from mesh.cli.tables import Row, ago

if TYPE_CHECKING:
    from mesh.application_status import MeshStatus, ReplicaStatus


COLUMNS = ("APPLICATION", "DEPLOYMENT", "REPLICA", "STATE", "PID", "SINCE", "RESTARTS", "WHY")


LONGEST_REASON = 60
"""Characters of an error in the table."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.", show_default=False)] = False,
    mesh: MeshOption = None,
) -> None:
    """Show the mesh that runs, its applications, deployments and replicas; exit code 1 when there is none.

    Example: meshctl status --json
    """
    choose(mesh)
    from mesh import api
    from mesh.cli.tables import print_table

    now = api.status()
    if as_json:
        print(to_json(now))
        return
    print(headline(now))
    if table := rows(now):
        print_table(COLUMNS, table)
    for line in (*sizes(now), *troubles(now)):
        print(line)


def to_json(status: MeshStatus) -> str:
    """The status with the names of its fields as keys, and the names of phases as values."""
    return json.dumps(dataclasses.asdict(status, dict_factory=_with_names), indent=2)


def _with_names(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.name if isinstance(value, Enum) else value for name, value in fields}


def headline(status: MeshStatus) -> str:
    """Which mesh it is, where it answers, and what troubles it."""
    name = f"mesh {status.name}" if status.name else "mesh"
    door = f"  gRPC {status.grpc_address}" if status.grpc_address else ""
    owner = "" if status.name else f"  owner pid {status.owner_pid}"
    where = status.url or "without HTTP"
    nothing = "" if status.applications else "\nnothing is deployed"
    bridges = f"  {status.bridges} bridges" if status.bridges > 1 else ""
    trouble = f"\n{status.trouble}" if status.trouble else ""
    return f"{name} {where}{bridges}{door}{owner}  engine pid {status.engine_pid}{nothing}{trouble}"


def rows(status: MeshStatus) -> list[Row]:
    """As :data:`COLUMNS`: a row for each application, each of its deployments and each of their replicas."""
    found: list[Row] = []
    for application in status.applications:
        prefix = application.route_prefix
        at = address(status.url, prefix) if prefix is not None and status.url else ""
        since = ago(application.in_phase_s)
        found.append((application.name, at, "", application.phase.name, "", since, "", first_line(application.message)))
        for deployment in application.deployments:
            ready = sum(replica.state == "RUNNING" for replica in deployment.replicas)
            count = f"{ready}/{deployment.num_replicas} replicas"
            restarts, why = str(deployment.restarts), first_line(deployment.message)
            since = ago(deployment.in_phase_s)
            found.append(("", deployment.name, count, deployment.phase.name, "", since, restarts, why))
            found += [_replica_row(replica) for replica in deployment.replicas]
    return found


def sizes(status: MeshStatus) -> list[str]:
    """Why each deployment that autoscales has the number of replicas that it has, as it was decided last."""
    found = [
        f"{application.name}/{one.name} scaled {ago(one.scaled_ago_s)} ago: {one.scaling}"
        for application in status.applications
        for one in application.deployments
        if one.scaling
    ]
    return ["", *found] if found else []


def _replica_row(replica: ReplicaStatus) -> Row:
    pid, since = str(replica.pid or "-"), ago(replica.in_state_s)
    return "", "", replica.replica_id, replica.state, pid, since, "", first_line(replica.message or replica.why)


def first_line(text: str) -> str:
    """What of an error has room in a table; :func:`troubles` shows it whole.

    >>> first_line("ValueError: no model\\nTraceback ...")
    'ValueError: no model'
    """
    line = text.partition("\n")[0]
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."


def troubles(status: MeshStatus) -> list[str]:
    """What failed last, with its traceback, for each deployment that has something to say."""
    return [
        line
        for application in status.applications
        for name, message in (
            (application.name, application.message),
            *((f"{application.name}/{one.name}", one.message) for one in application.deployments),
        )
        if message
        for line in ("", f"{name}:", *(f"  | {part}" for part in message.splitlines()))
    ]


def address(url: str, route_prefix: str) -> str:
    """Where an application answers.

    >>> address("http://localhost:8000/", "/shop")
    'http://localhost:8000/shop'
    """
    return url.rstrip("/") + route_prefix
