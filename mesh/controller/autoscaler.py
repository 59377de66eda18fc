"""Gives every deployment that autoscales its size: asks the rule or the user's policy, keeps what was called for.

No clock, no I/O: time is an argument, questions for policies are published and answered as all else is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf

from mesh.autoscaling import AutoscalingConfig
from mesh.controller.autoscaling import Trend, called_for, decide
from mesh.controller.demand import DemandLog, DeploymentKey, Reported
from mesh.controller.policies import Answered, Policies, Question
from mesh.controller.shares import serving_revisions
from mesh.controller.state import (
    ApplicationState,
    DeploymentState,
    MeshState,
    Replica,
    ReplicaState,
    Size,
    with_application,
    with_deployment,
)

REPORTS_ARE_BACK_S = 3.0
"""So long after the controller has started, or a deployment begun to autoscale, every router has told its demand.

Until then nothing is ended.
"""

LOOKS_OVER_LOOK_BACK = 20
"""So often the mean is looked at during one look-back period, while it changes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The ``state`` with every size as it is from now on, and when to look again although nothing happened."""

    state: MeshState
    look_at_s: float


class Autoscaler:
    """What one controller remembers of demand, of what was called for, and of its questions to policies."""

    def __init__(self, start_s: float) -> None:
        self._start_s = start_s
        self._demand = DemandLog(start_s)
        self._trends: dict[DeploymentKey, Trend] = {}
        self._policies = Policies(start_s)

    @property
    def questions(self) -> Mapping[str, Question]:
        """What the policies are asked now, by the replica that is asked."""
        return self._policies.questions

    def take(self, event: Reported | Answered, now_s: float) -> None:
        """A router has told its demand, or a policy has answered."""
        if isinstance(event, Reported):
            self._demand.take(event, now_s)
        else:
            self._policies.take(event)

    def step(self, state: MeshState, now_s: float) -> Sizes:
        """Decides on every deployment that autoscales; the same state when all sizes stay as they are."""
        autoscaled = _autoscaled(state)
        self._forget_all_but({(application.spec.name, name) for application, name, _, _ in autoscaled})
        if not autoscaled:
            return Sizes(state, inf)
        running = _running(state)
        look_at_s = inf
        for application, name, deployment, config in autoscaled:
            key = (application.spec.name, name)
            size, look_s = self._sized(key, config, deployment, running[key], now_s)
            look_at_s = min(look_at_s, look_s)
            if size != deployment.size:
                owner = state.applications[key[0]]
                state = with_application(state, with_deployment(owner, name, replace(deployment, size=size)))
        return Sizes(state, look_at_s)

    def _forget_all_but(self, keys: set[DeploymentKey]) -> None:
        self._demand.keep_only(keys)
        self._policies.keep_only(keys)
        for key in self._trends.keys() - keys:
            del self._trends[key]

    def _sized(
        self,
        key: DeploymentKey,
        config: AutoscalingConfig,
        deployment: DeploymentState,
        running: Sequence[Replica],
        now_s: float,
    ) -> tuple[Size, float]:
        """The size of one deployment from now on, and when to look at it again."""
        size = deployment.size or _first_size(config, now_s)
        if _is_held(deployment):
            self._trends.pop(key, None)
            return size, inf
        if (bounded := config.bounded(size.replicas)) != size.replicas:
            bounds = f"min_replicas={config.min_replicas}, max_replicas={config.max_replicas}"
            size = Size(bounded, f"{size.replicas} -> {bounded}: {bounds}", now_s)
        waiting = self._demand.without_replica(key)
        if size.replicas == 0 and waiting:
            self._trends[key] = self._new_trend(now_s)
            return Size(1, f"0 -> 1: {waiting} waiting for a first replica", now_s), now_s
        ongoing = self._demand.mean(key, config.look_back_period_s, now_s)
        called, trouble, look_at_s = self._called(key, config, size, running, ongoing, now_s)
        trend = self._trends.get(key) or self._new_trend(
            now_s if deployment.size is None else now_s + REPORTS_ARE_BACK_S
        )
        decision = decide(config, called, size.replicas, trend, now_s)
        self._trends[key] = decision.trend
        if trouble != size.trouble:
            size = replace(size, trouble=trouble)
        if decision.replicas != size.replicas:
            why = f"{size.replicas} -> {decision.replicas}: {_because(config, ongoing)}"
            size = Size(decision.replicas, why, now_s, trouble)
        if not self._demand.is_steady(key, config.look_back_period_s, now_s):
            look_at_s = min(look_at_s, now_s + config.look_back_period_s / LOOKS_OVER_LOOK_BACK)
        return size, min(look_at_s, decision.look_at_s)

    def _new_trend(self, known_since_s: float) -> Trend:
        return Trend(max(known_since_s, self._start_s + REPORTS_ARE_BACK_S))

    def _called(
        self,
        key: DeploymentKey,
        config: AutoscalingConfig,
        size: Size,
        running: Sequence[Replica],
        ongoing: float,
        now_s: float,
    ) -> tuple[int, str, float]:
        """How many replicas are called for, what is wrong with the policy, and when it is to be looked at again."""
        if not config.policy_name:
            return called_for(config, ongoing, size.replicas), "", inf
        word = self._policies.ask(key, config, Question(0, size.replicas, len(running), ongoing), running, now_s)
        if word.replicas is None:
            return size.replicas, word.trouble, word.look_at_s
        return config.bounded(max(ceil(word.replicas), 1 if ongoing > 0 else 0)), "", word.look_at_s


def _first_size(config: AutoscalingConfig, now_s: float) -> Size:
    setting = "min_replicas" if config.initial_replicas is None else "initial_replicas"
    return Size(config.first_replicas, f"{config.first_replicas}: {setting}", now_s)


def _because(config: AutoscalingConfig, ongoing: float) -> str:
    if config.policy_name:
        name = "its policy" if config.policy_blob else config.policy_name
        return f"{ongoing:.3g} ongoing, {name} says so"
    return f"{ongoing:.3g} ongoing, target {config.target_ongoing_requests:g} each"


def _autoscaled(state: MeshState) -> list[tuple[ApplicationState, str, DeploymentState, AutoscalingConfig]]:
    """What autoscales, with its config: the wished-for one, or that of what serves until another revision can."""
    found = []
    for application in state.applications.values():
        if application.deleting or state.stopping:
            continue
        for name, deployment in application.deployments.items():
            for key in (deployment.wished, *serving_revisions(deployment)):
                config = deployment.revisions[key].spec.config.autoscaling_config if key else None
                if config is not None:
                    found.append((application, name, deployment, config))
                    break
    return found


def _is_held(deployment: DeploymentState) -> bool:
    """The size stays as it is: of what serves, routers tell no demand unless it autoscales."""
    serving = [deployment.revisions[key] for key in serving_revisions(deployment)]
    return any(revision.spec.config.autoscaling_config is None for revision in serving)


def _running(state: MeshState) -> Mapping[DeploymentKey, Sequence[Replica]]:
    """The replicas that run of revisions that autoscale, by deployment, lowest rank first."""
    running: defaultdict[DeploymentKey, list[Replica]] = defaultdict(list)
    for replica in sorted(state.replicas.values(), key=lambda replica: replica.rank):
        revision = state.revision_of(replica) if replica.state is ReplicaState.RUNNING else None
        if revision is not None and revision.spec.config.autoscaling_config is not None:
            running[replica.application, replica.deployment].append(replica)
    return running
