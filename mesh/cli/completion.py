"""``meshctl completion``: what a shell needs to complete commands and options."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

COMPLETE_VARIABLE = "_MESHCTL_COMPLETE"
"""The environment variable by which a shell's script asks for completions."""


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.", show_default=False)]) -> None:
    """Print the script that lets a shell complete commands and options of meshctl.

    Example: meshctl completion bash >> ~/.bashrc
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined] # typer says nothing else

    print(get_completion_script(prog_name="meshctl", complete_var=COMPLETE_VARIABLE, shell=shell.value))
