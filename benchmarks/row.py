"""One row of the table: rounds of mesh beside its baseline, what they amount to, and whether the target is reached.

Pure: nothing here measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Measured:
    """One side of one round: its figures by unit, as in ``{"calls/s": 31000.0, "p50 us": 190.0}``."""

    figures: Mapping[str, float]
    cpu_us: float | None = None
    """User and system time of all processes, in microseconds for each request."""


@dataclass(frozen=True, slots=True)
class Round:
    """What mesh and its baseline did one right after the other; some rows have no baseline."""

    mesh: Measured
    baseline: Measured | None = None


class Of(StrEnum):
    """What a target bounds."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    FIGURE = "figure"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for the median ratio to the baseline, the median difference from it, or the median figure itself."""

    of: Of
    bound: float
    is_lowest: bool

    def is_reached(self, value: float) -> bool:
        """Whether ``value``, which is what :attr:`of` says, keeps the bound."""
        return value >= self.bound if self.is_lowest else value <= self.bound

    def __str__(self) -> str:
        side = "at least" if self.is_lowest else "at most"
        amount = {Of.RATIO: f"{self.bound:g}x", Of.DIFFERENCE: f"+{self.bound:g}", Of.FIGURE: f"{self.bound:g}"}
        return f"{side} {amount[self.of]}"


def times_at_least(bound: float) -> Target:
    """The figure is at least so many times the baseline's."""
    return Target(Of.RATIO, bound, is_lowest=True)


def times_at_most(bound: float) -> Target:
    """The figure is at most so many times the baseline's."""
    return Target(Of.RATIO, bound, is_lowest=False)


def more_at_most(bound: float) -> Target:
    """The figure is at most so much above the baseline's."""
    return Target(Of.DIFFERENCE, bound, is_lowest=False)


def at_most(bound: float) -> Target:
    """The figure is at most this, whatever the baseline's is."""
    return Target(Of.FIGURE, bound, is_lowest=False)


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, the lowest and the highest of what several rounds gave."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None when there are no values."""
        return cls(median(values), min(values), max(values)) if values else None


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one comparison."""

    benchmark: str
    what: str
    unit: str
    """Which of the figures of :class:`Measured` the row shows."""
    rounds: tuple[Round, ...]
    target: Target | None = None
    not_run: str = ""
    """Why there are no rounds, and what to do about it; empty when there are."""

    @property
    def mesh(self) -> Spread | None:
        return Spread.of([round_.mesh.figures[self.unit] for round_ in self.rounds])

    @property
    def baseline(self) -> Spread | None:
        return Spread.of([theirs for _, theirs in self._pairs()])

    @property
    def ratio(self) -> Spread | None:
        """Of each round on its own, since the speed of a machine drifts from round to round."""
        return Spread.of([mine / theirs for mine, theirs in self._pairs() if theirs])

    @property
    def difference(self) -> Spread | None:
        return Spread.of([mine - theirs for mine, theirs in self._pairs()])

    @property
    def cpu_us(self) -> Spread | None:
        return Spread.of([r.mesh.cpu_us for r in self.rounds if r.mesh.cpu_us is not None])

    @property
    def baseline_cpu_us(self) -> Spread | None:
        return Spread.of([r.baseline.cpu_us for r in self.rounds if r.baseline and r.baseline.cpu_us is not None])

    @property
    def is_reached(self) -> bool | None:
        """None without a target, and when nothing was measured."""
        if self.target is None:
            return None
        spread = {Of.RATIO: self.ratio, Of.DIFFERENCE: self.difference, Of.FIGURE: self.mesh}[self.target.of]
        return None if spread is None else self.target.is_reached(spread.median)

    def _pairs(self) -> Iterator[tuple[float, float]]:
        for round_ in self.rounds:
            if round_.baseline is not None:
                yield round_.mesh.figures[self.unit], round_.baseline.figures[self.unit]

    def to_json(self) -> dict[str, Any]:
        """Every round as it was measured, and what the row makes of them."""
        derived = {
            name: None if spread is None else asdict(spread)
            for name, spread in (
                ("mesh", self.mesh),
                ("baseline", self.baseline),
                ("ratio", self.ratio),
                ("cpu_us", self.cpu_us),
                ("baseline_cpu_us", self.baseline_cpu_us),
            )
        }
        return {**asdict(self), **derived, "is_reached": self.is_reached}

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Row:
        """The row that :meth:`to_json` was asked of."""
        target = message["target"]
        return cls(
            benchmark=message["benchmark"],
            what=message["what"],
            unit=message["unit"],
            rounds=tuple(
                Round(Measured(**r["mesh"]), None if r["baseline"] is None else Measured(**r["baseline"]))
                for r in message["rounds"]
            ),
            target=None if target is None else Target(Of(target["of"]), target["bound"], target["is_lowest"]),
            not_run=message["not_run"],
        )


def rows(benchmark: str, what: str, rounds: tuple[Round, ...], units: Mapping[str, Target | None]) -> Iterator[Row]:
    """A row for each unit of one comparison."""
    for unit, target in units.items():
        yield Row(benchmark, what, unit, rounds, target)


def rows_not_run(benchmark: str, what: str, why: str, units: Mapping[str, Target | None]) -> Iterator[Row]:
    """The same rows for a comparison that could not be made."""
    for unit, target in units.items():
        yield Row(benchmark, what, unit, (), target, why)
