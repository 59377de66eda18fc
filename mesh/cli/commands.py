"""The commands of ``meshctl``: what each is called, what it does in one line, and where it is, imported when it runs.

A new command is a line here and a function with typer's annotations in a file of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from mesh.cli.interrupt import interrupt_ends_process

COMMANDS = {
    "run": ("mesh.cli.run", "Deploy a node and stay until Ctrl-C."),
    "start": ("mesh.cli.start", "Start a mesh that stays until it is shut down."),
    "deploy": ("mesh.cli.deploy", "Deploy to a mesh that runs already."),
    "status": ("mesh.cli.status", "Show applications, deployments and replicas."),
    "list": ("mesh.cli.list", "List the deployments, a line each."),
    "scale": ("mesh.cli.scale", "Change the number of replicas of a deployment."),
    "rollback": ("mesh.cli.rollback", "Bring an application back to what ran before."),
    "events": ("mesh.cli.events", "Show what has happened to applications and replicas."),
    "logs": ("mesh.cli.logs", "Show what replicas have printed."),
    "delete": ("mesh.cli.delete", "Take an application away."),
    "shutdown": ("mesh.cli.shutdown", "End a detached mesh."),
    "config": ("mesh.cli.config", "Print what is deployed as a config file."),
    "build": ("mesh.cli.build", "Write a config file from code."),
    "completion": ("mesh.cli.completion", "Print the script for completion in a shell."),
    "graph": ("mesh.cli.graph", "Draw a node and all that it depends on."),
}
"""Name -> module, which has a function of that name, and the line in ``meshctl --help``."""

# typer would import rich for help and for errors, which takes longer than everything else together.
_SETTINGS: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}


class Commands(TyperGroup):
    """All commands; one is imported when it is asked for, none for the list of them.

    (What typer calls a context or a command is click's in some versions and its own in others: hence ``Any``.)
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        with interrupt_ends_process():
            function = getattr(import_module(module), cmd_name)
        command = typer.Typer(**_SETTINGS)
        command.command(cmd_name)(function)
        return typer.main.get_command(command)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


app = typer.Typer(
    name="meshctl",
    cls=Commands,
    help="Serve deployments and graphs of deployments.",
    no_args_is_help=True,
    **_SETTINGS,
)


@app.callback()
def _meshctl() -> None:
    """A group has commands even when typer, which sees none of them, would not make one."""
