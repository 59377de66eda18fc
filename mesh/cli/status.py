"""``meshctl status``: what is wished for and what is there, for people or as JSON."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mesh.application_status import ApplicationStatus, DeploymentStatus, MeshStatus


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Show the applications, deployments and replicas of the mesh that runs; exit code 1 when there is none."""
    import mesh

    now = mesh.status()
    typer.echo(to_json(now) if as_json else describe(now))


def to_json(status: MeshStatus) -> str:
    """The status with the names of its fields as keys, and the names of phases as values."""
    return json.dumps(dataclasses.asdict(status, dict_factory=_with_names), indent=2)


def _with_names(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value.name if isinstance(value, Enum) else value for name, value in fields}


def describe(status: MeshStatus) -> str:
    """The status as a page of text."""
    where = status.url or "without HTTP"
    door = f"  gRPC {status.grpc_address}" if status.grpc_address else ""
    lines = [f"mesh {where}{door}  owner pid {status.owner_pid}  engine pid {status.engine_pid}"]
    for application in status.applications:
        lines += ["", *_application(application, status.url)]
    if not status.applications:
        lines += ["", "nothing is deployed"]
    return "\n".join(lines)


def _application(application: ApplicationStatus, url: str) -> list[str]:
    at = "" if application.route_prefix is None or not url else f"  {address(url, application.route_prefix)}"
    lines = [f"application {application.name}  {application.phase.name}{at}"]
    lines += _message(application.message, "  ")
    for deployment in application.deployments:
        lines += _deployment(deployment)
    return lines


def _deployment(deployment: DeploymentStatus) -> list[str]:
    ready = sum(replica.state == "RUNNING" for replica in deployment.replicas)
    restarts = f"  restarts {deployment.restarts}" if deployment.restarts else ""
    return [
        f"  {deployment.name}  {deployment.phase.name}  {ready}/{deployment.num_replicas} replicas{restarts}",
        *_message(deployment.message, "    "),
        *(f"    {replica.replica_id}  {replica.state}  pid {replica.pid or '-'}" for replica in deployment.replicas),
    ]


def _message(message: str, indent: str) -> list[str]:
    return [f"{indent}| {line}" for line in message.splitlines()]


def address(url: str, route_prefix: str) -> str:
    """Where an application answers.

    >>> address("http://localhost:8000/", "/shop")
    'http://localhost:8000/shop'
    """
    return url.rstrip("/") + route_prefix
