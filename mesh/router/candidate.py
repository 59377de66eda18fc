"""One replica as one router sees it: its session, its load, and when it was last picked."""

from __future__ import annotations

from collections.abc import Callable

from mesh.router.endpoints import Endpoint
from mesh.router.session import Session

REPORT_LIFETIME_S = 1.0
"""A report of the replica's other calls counts in full when it comes and not at all after this long."""
FIRST_BACK_OFF_S = 0.005
LONGEST_BACK_OFF_S = 1.0
MOST_EXPECTED_MODELS = 1000


class Candidate:
    """A replica that may be picked. ``connect`` opens a session to it."""

    __slots__ = ("_back_off_s", "_blocked_until_s", "_connect", "_expected_models", "_has_refused", "_models",
                 "endpoint", "picked", "session")  # fmt: skip

    def __init__(self, endpoint: Endpoint, connect: Callable[[Candidate], Session]) -> None:
        self.endpoint = endpoint
        self.session: Session | None = None
        self.picked = 0
        """The number of the router's pick that last fell on it."""
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
        """It is not known to drain, and is not left alone for a while after it refused."""
        return now_s >= self._blocked_until_s and not (self.session is not None and self.session.end.draining)

    def open_session(self) -> Session:
        """The session to it, opened when there is none."""
        if self.session is None:
            self.session = self._connect(self)
        return self.session

    def refused(self, now_s: float) -> None:
        """It rejected a call or its session was cut: it is left alone, longer with every batch that refuses."""
        self._blocked_until_s = now_s + self._back_off_s
        if not self._has_refused:
            self._has_refused = True
            self._back_off_s = min(self._back_off_s * 2, LONGEST_BACK_OFF_S)

    def answered(self) -> None:
        """A batch came from it: when that refused nothing, what was refused before counts no longer."""
        if self.session is not None:
            self._models = self.session.end.models
        if self._has_refused:
            self._has_refused = False
        elif self._blocked_until_s:
            self._blocked_until_s = 0.0
            self._back_off_s = FIRST_BACK_OFF_S
