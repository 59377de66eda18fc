"""``meshctl events``: the story of an application, a deployment or a replica, as the controller has seen it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mesh.cli.mesh_option import MeshOption, choose

if TYPE_CHECKING:
    from mesh.client import ControllerClient
    from mesh.v1 import controller_pb2 as pb


def events(
    name: Annotated[
        str | None,
        typer.Argument(help="An application, a deployment or a replica (Model#3f2a9c).", show_default="all of them"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.", show_default=False)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.", show_default=False)] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last so many events.")] = 100,
    mesh: MeshOption = None,
) -> None:
    """Show what has happened: what was deployed, which replicas were launched, became ready, drained, ended, and why.

    Example: meshctl events Prices
    """
    choose(mesh)
    from mesh import meshes
    from mesh.errors import DeploymentNotFound

    used = meshes.to_ask()
    client = used.connection.client
    told = used.ask(client.events())
    chosen = [event for event in told if is_about(event, name)]
    if name is not None and not chosen and not follow:
        there = sorted({event.deployment or event.application for event in told})
        raise DeploymentNotFound(f"nothing has happened to {name!r}; there are events of: {', '.join(there) or 'none'}")
    show(chosen[-lines:] if lines else [], as_json)
    if follow:
        try:
            used.ask(_follow(client, told[-1].number if told else 0, name, as_json))
        except KeyboardInterrupt:
            return


async def _follow(client: ControllerClient, after: int, name: str | None, as_json: bool) -> None:
    async with aclosing(client.watch_events(after)) as watch:
        async for new in watch:
            chosen = [event for event in new if is_about(event, name)]
            await asyncio.to_thread(show, chosen, as_json)


def is_about(event: pb.Event, name: str | None) -> bool:
    """The event belongs to the application, deployment or replica of that name; a deployment's name may be in full."""
    in_full = f"{event.application}/{event.deployment}"
    return name is None or name in (event.application, event.deployment, in_full, event.replica_id)


def show(events: Sequence[pb.Event], as_json: bool) -> None:
    """Print events, a line each; for people with the rest of what was said below, such as a traceback."""
    for event in events:
        print(to_json(event) if as_json else to_text(event), flush=True)


def to_json(event: pb.Event) -> str:
    """An event as a JSON object on one line."""
    return json.dumps(
        {
            "number": event.number,
            "at": datetime.fromtimestamp(event.at_s).astimezone().isoformat(timespec="milliseconds"),
            "application": event.application,
            "deployment": event.deployment,
            "replica_id": event.replica_id,
            "what": event.what,
            "message": event.message,
        }
    )


def to_text(event: pb.Event) -> str:
    """An event for people."""
    at = datetime.fromtimestamp(event.at_s).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    whose = event.application + (f"/{event.deployment}" if event.deployment else "")
    first, _, rest = event.message.partition("\n")
    line = f"{at}  {whose:<20}  {event.replica_id:<16}  {event.what:<12}  {first}".rstrip()
    return "\n".join((line, *(f"    | {part}" for part in rest.splitlines())))
