"""What the documents show and the tests do not run, with the reason. Everything else they do."""

from __future__ import annotations

from typing import Final

_FETCHES: Final = "it fetches packages or a repository"

NOT_RUN: Final = {
    "README.md": {
        "python3.11 -m venv .venv": _FETCHES,
        ". .venv/bin/activate": _FETCHES,
        "pip install .": _FETCHES,
    },
    "docs/getting_started.md": {
        "python3.11 -m venv .venv": _FETCHES,
        ". .venv/bin/activate": _FETCHES,
        "pip install .": _FETCHES,
    },
}
"""Commands by page."""

LOCAL: Final = (
    "docs/composing.md",
    "docs/deployment_features.md",
    "docs/graphs.md",
    "docs/handles.md",
)
"""Pages whose scripts run as a mesh in their own process, which shows the same in a third of the time."""

RUN_ELSEWHERE: Final[dict[str, str]] = {}
"""Pages whose files and commands a test module of their own runs, by page; that module names the page."""
