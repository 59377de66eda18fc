"""All benchmarks as one table: ``python -m benchmarks``, which is ``make bench``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.machine import facts, load_average
from benchmarks.rounds import Plan
from benchmarks.row import Row
from benchmarks.worker import BenchmarkFailed, rows_of

BENCHMARKS = (
    "handle_calls",
    "generators",
    "arrays",
    "http_requests",
    "http_streams",
    "chain",
    "batching",
    "start_up",
    "memory",
    "scale",
)


def main() -> int:
    arguments = _parse(sys.argv[1:])
    plan = _plan(arguments)
    if arguments.stored:
        document = json.loads(arguments.stored.read_text())
        rows, failures = [Row.from_json(row) for row in document["rows"]], document["failures"]
        print("\n".join([table.head(), *map(table.line, rows)]))
    else:
        before = load_average()
        rows, failures = _measure(arguments.only, plan)
        document = _document(plan, rows, failures, before)
    print(f"\n{table.footer(rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.markdown:
        text = arguments.markdown.read_text()
        arguments.markdown.write_text(table.replace_table(text, table.markdown(rows)))
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _measure(names: Sequence[str], plan: Plan) -> tuple[list[Row], list[str]]:
    """The rows, printed as they come, and what failed."""
    rows: list[Row] = []
    failures: list[str] = []
    print(table.head())
    for name in names:
        print(f"{name}:", flush=True)
        try:
            for row in rows_of(name, plan):
                rows.append(row)
                print(table.line(row), flush=True)
        except BenchmarkFailed as failure:
            failures.append(str(failure))
            print(f"{name} FAILED, see below", flush=True)
    return rows, failures


def _document(plan: Plan, rows: Sequence[Row], failures: Sequence[str], load_before: float) -> dict[str, Any]:
    return {
        "machine": facts(),
        "load_average": {"before": load_before, "after": load_average()},
        "rounds": plan.rounds,
        "round_s": plan.round_s,
        "rows": [row.to_json() for row in rows],
        "failures": list(failures),
    }


def _plan(arguments: argparse.Namespace) -> Plan:
    quick = arguments.quick
    return Plan(
        rounds=arguments.rounds or (2 if quick else 5),
        round_s=0.4 if quick else 1.0,
        is_full=arguments.full,
        is_quick=quick,
    )


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME",
                        help=f"of {', '.join(BENCHMARKS)}")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="of mesh and of its baseline, in turn (5, with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="short rounds: to see that it works, not to quote")
    parser.add_argument("--full", action="store_true", help="every combination of the handle calls (ten more minutes)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures there")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="put the table into this document, between its marks"
    )
    parser.add_argument("--stored", type=Path, metavar="FILE", help="measure nothing: show what --json wrote there")
    arguments = parser.parse_args(words)
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {arguments.rounds}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
