"""One figure of a soak: what was asked, what was seen, and whether that is enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table. ``is_reached`` is None for what is only shown; False fails the soak when ``is_hard``."""

    what: str
    seen: str
    asked: str = ""
    is_reached: bool | None = None
    is_hard: bool = True

    @classmethod
    def shown(cls, what: str, seen: object) -> Self:
        """A figure that nothing is asked of."""
        return cls(what, str(seen))

    @classmethod
    def equal(cls, what: str, seen: object, asked: object) -> Self:
        """A figure that has to be exactly that."""
        return cls(what, str(seen), str(asked), seen == asked)

    @classmethod
    def at_most(cls, what: str, seen: float, asked: float, unit: str = "", *, is_hard: bool = True) -> Self:
        """A figure with an upper bound; ``is_hard=False`` where a busy machine, not mesh, may be above it."""
        return cls(what, _with(seen, unit), f"<= {_with(asked, unit)}", seen <= asked, is_hard)

    @classmethod
    def at_least(cls, what: str, seen: float, asked: float, unit: str = "", *, is_hard: bool = True) -> Self:
        """A figure with a lower bound."""
        return cls(what, _with(seen, unit), f">= {_with(asked, unit)}", seen >= asked, is_hard)

    @property
    def failed(self) -> bool:
        """The soak does not pass with this."""
        return self.is_hard and self.is_reached is False

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


HEAD = f"{'':64} {'asked':>14} {'seen':>22} {'reached':>8}"


def line(figure: Figure) -> str:
    """A figure as a line of a terminal."""
    reached = {True: "yes", False: "NO" if figure.is_hard else "no", None: ""}[figure.is_reached]
    return f"  {figure.what:62} {figure.asked:>14} {figure.seen:>22} {reached:>8}".rstrip()


def _with(value: float, unit: str) -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{number} {unit}".rstrip()
