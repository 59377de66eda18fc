"""`make features`: the rows of docs/features.md with their tests; exit code 1 when a row has none."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from tests.features.rows import marked_tests, rows, table


class Collected:
    """What pytest has found, kept."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """pytest calls this."""
        self.items = session.items


def main() -> int:
    collected, said = Collected(), io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["--collect-only", "-q"], plugins=[collected])
    if code:
        print(said.getvalue())
        return int(code)
    known, shown = rows(), marked_tests(collected.items)
    print("\n".join(table(known, shown)))
    without = [row for row in known if row not in shown]
    print(f"\n{len(known)} rows, {len(known) - len(without)} of them with tests")
    if without:
        print(f"without a test: {', '.join(without)}")
    return bool(without)


sys.exit(main())
