"""The users' own policies, from the controller's side: whom to ask, and what to hold on to when none answers.

A policy is user code, so it runs in a replica of its deployment and not here. No clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from mesh.autoscaling import AutoscalingConfig
from mesh.controller.demand import DeploymentKey
from mesh.controller.state import Replica

ANSWER_TIMEOUT_S = 5.0
"""How long a policy may think before another replica is asked, and it is said that this one does not answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a policy is asked; ``number`` tells the questions of one controller apart."""

    number: int
    num_replicas: int
    running_replicas: int
    ongoing: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A policy has answered a question: with a number of replicas, or with why there is none."""

    number: int
    replicas: float
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """A policy's last word: ``replicas``, None as long as there is none or since it is in ``trouble``."""

    replicas: float | None = None
    trouble: str = ""
    look_at_s: float = inf


@dataclass(frozen=True, slots=True)
class _Asked:
    """The last question to the policy of a deployment, and whether it was answered."""

    question: Question
    replica_id: str
    asked_s: float
    is_answered: bool = False
    word: Word = Word()


class Policies:
    """The questions of one controller. Their numbers begin where no controller before it has been."""

    def __init__(self, start_s: float) -> None:
        self._number = int(start_s * 1000)
        self._asked: dict[DeploymentKey, _Asked] = {}

    @property
    def questions(self) -> dict[str, Question]:
        """What is asked now, by the replica that is asked."""
        return {asked.replica_id: asked.question for asked in self._asked.values()}

    def take(self, answer: Answered) -> None:
        """A policy has answered, perhaps a question that nobody asks any more."""
        for key, asked in self._asked.items():
            if asked.question.number == answer.number and not asked.is_answered:
                word = Word(trouble=answer.failure) if answer.failure else Word(answer.replicas)
                self._asked[key] = replace(asked, is_answered=True, word=word)

    def ask(
        self,
        key: DeploymentKey,
        config: AutoscalingConfig,
        question: Question,
        running: Sequence[Replica],
        now_s: float,
    ) -> Word:
        """What the policy of a deployment says; asks it anew when it is time to. Its number is given here."""
        asked = self._asked.get(key)
        if asked is not None and asked.replica_id not in [replica.replica_id for replica in running]:
            asked = replace(asked, is_answered=True, asked_s=-inf)  # it has gone, perhaps without a word
        if asked is not None and not asked.is_answered and now_s >= asked.asked_s + ANSWER_TIMEOUT_S:
            trouble = f"policy {config.policy_name} has not answered for {ANSWER_TIMEOUT_S:g} s"
            asked = replace(asked, is_answered=True, asked_s=-inf, word=Word(trouble=trouble))
        if running and (asked is None or (asked.is_answered and now_s >= asked.asked_s + config.metrics_interval_s)):
            self._number += 1
            replica_id = _next_to_ask(asked, running)
            word = asked.word if asked is not None else Word()
            asked = _Asked(replace(question, number=self._number), replica_id, now_s, word=word)
        if asked is None:
            return Word()
        self._asked[key] = asked
        pause_s = config.metrics_interval_s if asked.is_answered else ANSWER_TIMEOUT_S
        return replace(asked.word, look_at_s=asked.asked_s + pause_s if running else inf)

    def keep_only(self, keys: set[DeploymentKey]) -> None:
        """Forget all other deployments."""
        for key in self._asked.keys() - keys:
            del self._asked[key]


def _next_to_ask(before: _Asked | None, running: Sequence[Replica]) -> str:
    """The replica of the lowest rank; after one that did not answer, the next one."""
    ids = [replica.replica_id for replica in running]
    if before is None or before.replica_id not in ids:
        return ids[0]
    place = ids.index(before.replica_id)
    return ids[(place + 1) % len(ids)] if before.asked_s == -inf else ids[place]
