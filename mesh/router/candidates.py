"""The replicas of a deployment that may be picked, as one router sees them, and the pick among them.

What is slow, and what fails, is found out with every tick of the router; a pick reads the result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial

from mesh.router import ejection
from mesh.router.candidate import Candidate
from mesh.router.endpoints import Endpoint, compare
from mesh.router.model_cost import model_cost
from mesh.router.picker import Cost, cheapest, is_worth_waiting, pick
from mesh.router.session import Session
from mesh.router.weights import usual_service_time_s, weight

PROBE_EVERY = 256
"""One call of so many goes to a replica that is slow, to see whether it still is."""


class Candidates:
    """``connect`` opens a session to one of them; ``random`` is uniform in [0, 1)."""

    def __init__(self, connect: Callable[[Candidate], Session], random: Callable[[], float]) -> None:
        self.limit = 1
        """Calls that each of them takes at a time: ``max_ongoing_requests``."""
        self._connect = connect
        self._random = random
        self._by_id: dict[str, Candidate] = {}
        self._list: list[Candidate] = []
        self._slow: list[Candidate] = []
        self._brisk: list[Candidate] = []  # all others
        self._usual_s = 0.0
        self.picks = 0
        """How often one of them was picked."""
        self._last_probe = 0  # the number of the pick that was one
        self._now_s = 0.0

    def __len__(self) -> int:
        return len(self._list)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._list)

    def __contains__(self, replica_id: str) -> bool:
        return replica_id in self._by_id

    def __getitem__(self, replica_id: str) -> Candidate:
        return self._by_id[replica_id]

    def get(self, replica_id: str) -> Candidate | None:
        """The candidate of that id, when it is in the present endpoint set."""
        return self._by_id.get(replica_id)

    def change(self, endpoints: Iterable[Endpoint], now_s: float) -> list[Candidate]:
        """Take over a full endpoint set; those that are no longer in it."""
        change = compare(self._by_id, endpoints)
        for endpoint in change.added:
            self._by_id[endpoint.replica_id] = Candidate(endpoint, self._connect)
        removed = [self._by_id.pop(replica_id) for replica_id in change.removed]
        self._list = list(self._by_id.values())
        self._sort()
        self._take_back_ejections(now_s)
        return removed

    def _sort(self) -> None:
        self._slow = [candidate for candidate in self._list if candidate.weight > 1.0]
        self._brisk = [candidate for candidate in self._list if candidate.weight <= 1.0]

    # --- what is slow, what fails

    def weigh(self, now_s: float) -> None:
        """Compare how fast they are, and leave alone for a while what fails while others do not."""
        if len(self._list) == 1:
            self._list[0].weight = 1.0  # there is no other to be slower than, or to be used instead
            self._sort()
            return
        seen = [candidate.seen(now_s) for candidate in self._list]
        usual_s = self._usual_s = usual_service_time_s(seen)
        if usual_s or self._slow:
            for candidate, one in zip(self._list, seen, strict=True):
                candidate.weight = weight(one, usual_s)
            self._sort()
        for i in ejection.to_be_ejected([candidate.standing(now_s) for candidate in self._list]):
            self._list[i].eject(now_s)

    def _take_back_ejections(self, now_s: float) -> None:
        """Where replicas have gone, more than half may be left alone of those that are there: the oldest come back."""
        ejected = [candidate for candidate in self._list if candidate.is_ejected(now_s)]
        surplus = len(ejected) - ejection.most(len(self._list))
        if surplus > 0:
            for candidate in sorted(ejected, key=lambda candidate: candidate.ejected_s)[:surplus]:
                candidate.take_back()

    # --- the pick

    def pick(self, now_s: float, created_s: float, model_id: str = "", chain: Collection[str] = ()) -> Candidate | None:
        """Who gets a call that was made at ``created_s``; None when it has to wait.

        A replica of its ``chain`` works on an earlier part of the same request and lets it in beyond its limit.
        """
        self._now_s = now_s
        if not (self._slow or model_id):
            candidate = pick(self._list, self._cost, self._random)
        elif model_id:
            candidate = cheapest(self._list, partial(self._cost_with_model, model_id))
        else:
            candidate = self._pick_among_unlike(created_s)
        if candidate is None and chain:
            candidate = next((c for i in chain if (c := self._by_id.get(i)) and c.may_be_asked(now_s)), None)
        if candidate is not None:
            self.picks += 1
            candidate.picked = self.picks
            if model_id:
                candidate.expect(model_id, now_s)
        return candidate

    def _cost(self, candidate: Candidate) -> Cost | None:
        length = candidate.queue_length(self._now_s)
        if length > self.limit - 1 or not candidate.may_be_asked(self._now_s):
            return None
        return (length + 1) * candidate.weight, candidate.picked

    def _cost_with_model(self, model_id: str, candidate: Candidate) -> Cost | None:
        cost = self._cost(candidate)
        if cost is None:
            return None
        holds = candidate.holds(model_id, self._now_s)
        return model_cost(model_id, candidate.endpoint.replica_id, cost[0], holds=holds)

    def _to_be_probed(self) -> Candidate | None:
        """A slow one that works on nothing from here, when it is time to see whether it still is slow."""
        if self.picks - self._last_probe < PROBE_EVERY:
            return None
        idle = [candidate for candidate in self._slow if not candidate.own_calls and self._cost(candidate) is not None]
        if not idle:
            return None
        self._last_probe = self.picks
        return min(idle, key=lambda candidate: candidate.picked)

    def _pick_among_unlike(self, created_s: float) -> Candidate | None:
        """The same where some are slow: those compete with whoever wins among the others."""
        best = self._to_be_probed()
        if best is not None:
            return best
        best, slow = pick(self._brisk, self._cost, self._random), cheapest(self._slow, self._cost)
        if best is None:
            return None if slow is None or self._is_worth_waiting(slow, created_s) else slow
        return best if slow is None else cheapest((best, slow), self._cost)

    def _is_worth_waiting(self, slow: Candidate, created_s: float) -> bool:
        without_room = [
            (candidate.queue_length(self._now_s) + 1) * candidate.weight
            for candidate in self._brisk
            if candidate.is_worth_waiting_for(self._now_s)
        ]
        price = (slow.queue_length(self._now_s) + 1) * slow.weight
        return is_worth_waiting(price, without_room, (self._now_s - created_s) / self._usual_s)
