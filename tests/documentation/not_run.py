"""What the documents show and the tests do not run, with the reason. Everything else they do."""

from __future__ import annotations

import re
from typing import Final

_FETCHES: Final = "it fetches packages or a repository"
_MEASURES: Final = "it takes up to fifteen minutes; tests/e2e/test_benchmarks.py runs each benchmark for a moment"

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
    "docs/performance.md": {
        "make bench                  # the table below, and every round of it in .benchmarks/figures.json": _MEASURES,
        "make bench BENCH=--quick    # the same in a few minutes, to see whether something broke": _MEASURES,
        "make profile                # where the time goes: flame graphs in profiles/": _MEASURES,
    },
    "docs/other_languages.md": {
        'grpcurl -plaintext -d \'{"deployment": "Sums", "method": "add", "body": "WzEsMl0="}\' 127.0.0.1:9000 '
        "mesh.v1.PredictService/Predict": "grpcurl has to be installed; tests/e2e/test_door.py asks the same in Python",
    },
}
"""Commands by page."""

LOCAL: Final = (
    "docs/composing.md",
    "docs/decisions/003-graph.md",
    "docs/decisions/013-types.md",
    "docs/deployment_features.md",
    "docs/graphs.md",
    "docs/handles.md",
    "docs/key_concepts.md",
)
"""Pages whose scripts run as a mesh in their own process, which shows the same in a third of the time."""

RUN_ELSEWHERE: Final[dict[str, str]] = {}
"""Pages whose files and commands a test module of their own runs, by page; that module names the page."""


def is_run(page: str, typed: str) -> bool:
    """Whether a command is run. The help in docs/meshctl.md is compared by tests/unit/cli/test_reference.py."""
    is_help = page == "docs/meshctl.md" and re.fullmatch(r"meshctl \w+ --help", typed)
    return not is_help and typed not in NOT_RUN.get(page, {})
