"""What routers have under way for deployments that autoscale: now, and as a mean over time. No clock, no I/O.

Each process that routes tells the whole of its demand over one line; the demand of a line that has ended is none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

DeploymentKey = tuple[str, str]
"""Application and deployment."""

POINTS_OVER_LOOK_BACK = 200
"""So many points of the past are kept, at most, for one mean."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one process has for one deployment; see ``mesh.v1.Demand``."""

    ongoing: float
    without_replica: int = 0


@dataclass(frozen=True, slots=True)
class Reported:
    """The process behind the line of that number has told its demand; nothing, when the line has ended."""

    line: int
    demands: Mapping[DeploymentKey, Demand]


class DemandLog:
    """The demand of all processes by deployment, from ``start_s`` on."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._lines: dict[int, Mapping[DeploymentKey, Demand]] = {}
        self._pasts: dict[DeploymentKey, _Past] = {}

    def take(self, report: Reported, now_s: float) -> None:
        """Count a report in the place of the last one of its line."""
        before = self._lines.pop(report.line, {})
        if report.demands:
            self._lines[report.line] = report.demands
        for key in {**before, **report.demands}:
            past = self._pasts.setdefault(key, _Past(self._start_s))
            past.go_on(sum(demands[key].ongoing for demands in self._lines.values() if key in demands), now_s)

    def ongoing(self, key: DeploymentKey) -> float:
        """Requests under way or waiting, as told last."""
        return self._pasts[key].present if key in self._pasts else 0.0

    def without_replica(self, key: DeploymentKey) -> int:
        """Requests that wait because there is no replica at all."""
        return sum(demands[key].without_replica for demands in self._lines.values() if key in demands)

    def mean(self, key: DeploymentKey, over_s: float, now_s: float) -> float:
        """Requests under way or waiting, over the last ``over_s`` seconds or as long as there was somebody to tell."""
        return self._pasts[key].mean(over_s, now_s) if key in self._pasts else 0.0

    def is_steady(self, key: DeploymentKey, over_s: float, now_s: float) -> bool:
        """The mean stays as it is until somebody reports something else."""
        return key not in self._pasts or self._pasts[key].since_s <= now_s - over_s

    def keep_only(self, keys: set[DeploymentKey]) -> None:
        """Forget the past of all other deployments."""
        for key in self._pasts.keys() - keys:
            del self._pasts[key]


class _Past:
    """A number that changes in steps, as the area below it, of which points are kept; exact but between two points."""

    def __init__(self, start_s: float) -> None:
        self.present = 0.0
        self.since_s = start_s
        """When ``present`` became what it is."""
        self._area = 0.0  # from the start until since_s
        self._points: deque[tuple[float, float]] = deque([(start_s, 0.0)])
        self._apart_s = 0.0

    def go_on(self, present: float, now_s: float) -> None:
        if present == self.present:
            return
        self._area += self.present * (now_s - self.since_s)
        self.present, self.since_s = present, now_s
        if now_s - self._points[-1][0] > self._apart_s:
            self._points.append((now_s, self._area))

    def mean(self, over_s: float, now_s: float) -> float:
        self._apart_s = over_s / POINTS_OVER_LOOK_BACK
        begin_s = max(now_s - over_s, self._points[0][0])
        while len(self._points) > 1 and self._points[1][0] <= begin_s:
            self._points.popleft()
        if now_s <= begin_s:
            return self.present
        return (self._area_at(now_s) - self._area_at(begin_s)) / (now_s - begin_s)

    def _area_at(self, moment_s: float) -> float:
        if moment_s >= self.since_s:
            return self._area + self.present * (moment_s - self.since_s)
        points = [*self._points, (self.since_s, self._area)]
        after = next(number for number, (point_s, _) in enumerate(points) if point_s > moment_s)
        (left_s, left), (right_s, right) = points[after - 1], points[after]
        return left + (right - left) * (moment_s - left_s) / (right_s - left_s)
