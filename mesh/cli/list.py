"""``meshctl list``: the deployments, a line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh.application_status import MeshStatus
    from mesh.cli.tables import Row

COLUMNS = ("DEPLOYMENT", "APPLICATION", "STATE", "REPLICAS", "ROUTE")


def list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.", show_default=False)] = False,
    mesh: MeshOption = None,
) -> None:
    """List the deployments: their application, state, replicas that run of those wanted, and route.

    Example: meshctl list --json
    """
    choose(mesh)
    from mesh import api
    from mesh.cli.tables import print_table

    status = api.status()
    if as_json:
        print(to_json(status))
    elif found := rows(status):
        print_table(COLUMNS, found)
    else:
        print("nothing is deployed")


def to_json(status: MeshStatus) -> str:
    """An object for each deployment."""
    found = [
        {
            "deployment": deployment.name,
            "application": application.name,
            "phase": deployment.phase.name,
            "running_replicas": sum(replica.state == "RUNNING" for replica in deployment.replicas),
            "num_replicas": deployment.num_replicas,
            "route_prefix": application.route_prefix if deployment.name == application.driver else None,
        }
        for application in status.applications
        for deployment in application.deployments
    ]
    return json.dumps(found, indent=2)


def rows(status: MeshStatus) -> Sequence[Row]:
    """A row for each deployment, as :data:`COLUMNS` says."""
    return [
        (
            deployment.name,
            application.name,
            deployment.phase.name,
            f"{sum(replica.state == 'RUNNING' for replica in deployment.replicas)}/{deployment.num_replicas}",
            (application.route_prefix or "") if deployment.name == application.driver else "",
        )
        for application in status.applications
        for deployment in application.deployments
    ]
