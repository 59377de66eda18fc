"""What a figure of a soak says, and which of them fail it."""

from __future__ import annotations

import pytest

from tests.soak.figure import Figure, line


@pytest.mark.parametrize(
    ("figure", "failed", "shown"),
    [
        (Figure.equal("calls failed", 0, 0), False, "yes"),
        (Figure.equal("calls failed", 3, 0), True, "NO"),
        (Figure.at_most("grown by", 0.99, 1.0, "MB"), False, "yes"),
        (Figure.at_most("grown by", 1.01, 1.0, "MB"), True, "NO"),
        (Figure.at_most("p99", 80, 50, "ms", is_hard=False), False, "no"),
        (Figure.at_least("replicas killed", 0, 1), True, "NO"),
        (Figure.shown("answered", 12_345), False, ""),
    ],
    ids=lambda value: value.what if isinstance(value, Figure) else None,
)
def test_only_a_hard_figure_that_is_not_reached_fails(figure: Figure, failed: bool, shown: str) -> None:
    assert figure.failed is failed
    assert line(figure).split()[-1] == (shown or "12345")


def test_figures_name_their_units_and_bounds() -> None:
    assert line(Figure.at_most("grown by", 0.25, 1, "MB")).split() == [
        "grown",
        "by",
        "<=",
        "1",
        "MB",
        "0.25",
        "MB",
        "yes",
    ]
