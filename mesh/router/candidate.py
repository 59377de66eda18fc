"""One replica as one router sees it: its session, its load, and when it was last picked."""

from __future__ import annotations

from collections.abc import Callable

from mesh.router.ejection import Standing, ejection_s
from mesh.router.endpoints import Endpoint
from mesh.router.session import Session
from mesh.router.weights import Seen

REPORT_LIFETIME_S = 1.0
"""A report of the replica's other calls counts in full when it comes and not at all after this long."""
FIRST_BACK_OFF_S = 0.005
LONGEST_BACK_OFF_S = 1.0
MOST_EXPECTED_MODELS = 1000


class Candidate:
    """A replica that may be picked. ``connect`` opens a session to it."""

    __slots__ = ("_back_off_s", "_blocked_until_s", "_connect", "_cuts", "_ejected_until_s", "_ejections",
                 "_expected_models", "_failed", "_has_refused", "_last_before_ejection", "_models", "_service_time_us",
                 "ejected_s", "endpoint", "picked", "session", "weight")  # fmt: skip

    def __init__(self, endpoint: Endpoint, connect: Callable[[Candidate], Session]) -> None:
        self.endpoint = endpoint
        self.session: Session | None = None
        self.picked = 0
        """The number of the router's pick that last fell on it."""
        self.weight = 1.0
        """What a place in its queue costs, beside those of others: see mesh.router.weights."""
        self.ejected_s = 0.0
        """When it was last ejected."""
        self._service_time_us = 0  # as it last said, perhaps over a session that is closed
        self._cuts = 0  # sessions in a row that were cut without a good answer
        self._ejections = 0  # since it last answered well
        self._ejected_until_s = 0.0
        self._last_before_ejection = 0  # the newest call that it had then
        self._failed = 0  # calls in a row that had raised when it last said something
        self._connect = connect
        self._blocked_until_s = 0.0
        self._back_off_s = FIRST_BACK_OFF_S
        self._has_refused = False  # since the last batch
        self._models: frozenset[str] = frozenset()  # that it holds, as it last said
        self._expected_models: dict[str, float] = {}  # that it was just sent a call for, and until when that counts

    def queue_length(self, now_s: float) -> float:
        """Calls that it works on: this router's own, known exactly, and those of others as last reported."""
        session = self.session
        if session is None:
            return 0.0
        end = session.end
        own = len(end.calls)
        if not end.ongoing_elsewhere:
            return own
        age_s = now_s - session.reported_s
        return own + end.ongoing_elsewhere * max(0.0, 1.0 - age_s / REPORT_LIFETIME_S)

    def holds(self, model_id: str, now_s: float) -> bool:
        """It holds a model, as it says itself, or it is about to load it for a call that it was sent."""
        return model_id in self._models or self._expected_models.get(model_id, 0.0) > now_s

    def expect(self, model_id: str, now_s: float) -> None:
        """It is sent a call for a model, and will load it if it has to; before long it says so itself."""
        if model_id in self._models:
            return
        if len(self._expected_models) >= MOST_EXPECTED_MODELS:
            self._expected_models.clear()
        self._expected_models[model_id] = now_s + REPORT_LIFETIME_S

    def may_be_asked(self, now_s: float) -> bool:
        """It is not known to drain, and is not left alone for a while after it refused.

        When it comes back from an ejection, it gets one call at a time until one is answered well. Calls that it has
        had since before do not count: they may last for ever.
        """
        session = self.session
        if now_s < self._blocked_until_s:
            return False
        if session is None:
            return True
        return not (session.end.draining or (self._ejections and _newest_call(session) > self._last_before_ejection))

    def is_worth_waiting_for(self, now_s: float) -> bool:
        """It may have no room at present, but neither drains nor fails."""
        return now_s >= self._ejected_until_s and not (self.session is not None and self.session.end.draining)

    @property
    def own_calls(self) -> int:
        """Calls of this router that it works on."""
        return 0 if self.session is None else len(self.session.end.calls)

    def seen(self, now_s: float) -> Seen:
        """How fast it is."""
        session = self.session
        if session is None:
            return Seen(self._service_time_us * 1e-6, 0.0)
        self._service_time_us = session.end.service_time_us or self._service_time_us
        return Seen(self._service_time_us * 1e-6, session.silent_s(now_s))

    def standing(self, now_s: float) -> Standing:
        """How it did lately."""
        errors = 0 if self.session is None else self.session.end.failed_in_a_row
        return Standing(self._cuts, errors, self.is_ejected(now_s))

    def is_ejected(self, now_s: float) -> bool:
        """It is left alone because it fails, or was and has not shown yet that it is well."""
        return self._ejections > 0 or now_s < self._ejected_until_s

    def eject(self, now_s: float) -> None:
        """Leave it alone, longer each time; then a single call shows whether it is well again."""
        self.ejected_s = now_s
        self._ejected_until_s = now_s + ejection_s(self._ejections)
        self._blocked_until_s = max(self._blocked_until_s, self._ejected_until_s)
        self._ejections += 1
        self._last_before_ejection = 0 if self.session is None else _newest_call(self.session)
        self._failed = 0 if self.session is None else self.session.end.failed_in_a_row

    def take_back(self) -> None:
        """Too many are left alone: it is asked again like any other."""
        self._ejections = 0
        self._ejected_until_s = self._blocked_until_s = 0.0

    def open_session(self) -> Session:
        """The session to it, opened when there is none."""
        if self.session is None:
            self.session = self._connect(self)
            self._last_before_ejection = self._failed = 0
        return self.session

    def _judge(self, session: Session) -> None:
        """A batch came from one that has failed."""
        end = session.end
        if end.answers_well:
            self._cuts = self._ejections = 0
        elif end.failed_in_a_row > self._failed and self._ejections and session.reported_s >= self._ejected_until_s:
            self.eject(session.reported_s)
        self._failed = end.failed_in_a_row

    def refused(self, now_s: float) -> None:
        """It rejected a call: it is left alone, longer with every batch that refuses."""
        self._blocked_until_s = max(self._ejected_until_s, now_s + self._back_off_s)
        if not self._has_refused:
            self._has_refused = True
            self._back_off_s = min(self._back_off_s * 2, LONGEST_BACK_OFF_S)

    def cut(self, now_s: float) -> None:
        """Its session was cut, or did not come about: it is left alone, longer each time."""
        self._cuts += 1
        self._failed = 0
        self._has_refused = False
        self.refused(now_s)
        if self._ejections:
            self.eject(now_s)

    def answered(self) -> None:
        """A batch came from it: when that refused nothing, what was refused before counts no longer."""
        session = self.session
        if session is not None:
            self._models = session.end.models
            if self._cuts or self._ejections:
                self._judge(session)
        if self._has_refused:
            self._has_refused = False
        elif self._blocked_until_s:
            self._blocked_until_s = self._ejected_until_s
            self._back_off_s = FIRST_BACK_OFF_S


def _newest_call(session: Session) -> int:
    """The id of the call that was opened last, of those under way; 0 when there is none."""
    return next(reversed(session.end.calls), 0)
