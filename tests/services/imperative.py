"""Deployments that tell which replica answers and what it was built with, and a script that deploys one of them."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from starlette.requests import Request

import mesh


@mesh.deployment
class Teller:
    """Answers with what it was built with, the pid of its replica, and what it was called with."""

    def __init__(self, path: str = "nothing") -> None:
        self.path = path

    def __call__(self, request: Any) -> list[Any]:
        what = "request" if isinstance(request, Request) else request
        return [self.path, os.getpid(), what]

    def settings(self, key: str = "path") -> Any:
        return getattr(self, key)


@mesh.deployment
def echo(request: Any, loud: bool = False) -> str:
    """Says what kind of request it got."""
    return f"{type(request).__mro__[1].__name__ if isinstance(request, Request) else request}{'!' if loud else ''}"


class Stubborn:
    """Its constructor waits until the file ``gate`` is there."""

    def __init__(self, gate: str) -> None:
        import pathlib
        import time

        while not pathlib.Path(gate).exists():
            time.sleep(0.01)

    def __call__(self) -> str:
        return "through"


def main() -> None:
    """``imperative.py <name> <path>``: deploys a Teller of that name on a mesh of its own and waits to be killed."""
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    Teller.options(name=sys.argv[1]).deploy(sys.argv[2])
    print("deployed", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
