"""How a deployment autoscales: what the user sets, and what a policy of the user's own is given. Pure.

What is decided by it is decided in ``mesh/controller/autoscaling.py``.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.checks import check_number, check_whole_number
from mesh.errors import ConfigError
from mesh.v1 import deployment_pb2 as pb

MOST_REPLICAS = 10_000
"""More replicas than this are a mistake in writing, not a wish."""

SHORTEST_S = 0.01
"""A shorter look-back period, or time between two reports, would be work without end."""

PICKLED_POLICY = "pickle:"
"""What the name of a policy begins with that is no import path; the SHA-256 of its blob follows."""

_OLD_NAMES: Mapping[str, tuple[str, ...]] = {
    "target_num_ongoing_requests_per_replica": ("target_ongoing_requests",),
    "smoothing_factor": ("upscaling_factor", "downscaling_factor"),
    "upscale_smoothing_factor": ("upscaling_factor",),
    "downscale_smoothing_factor": ("downscaling_factor",),
    "look_back_period": ("look_back_period_s",),
}
"""What settings were called in Ray Serve, for the programs that were written for it."""


@dataclass(frozen=True, slots=True)
class AutoscalingContext:
    """What a policy is asked about: one deployment at one moment.

    ``num_replicas`` are wanted now, ``running_replicas`` are there. ``ongoing_requests`` is the mean over the look-back
    period of the requests that replicas work on and of those that wait in routers.
    """

    application: str
    deployment: str
    num_replicas: int
    running_replicas: int
    ongoing_requests: float
    min_replicas: int
    max_replicas: int
    target_ongoing_requests: float


Policy = Callable[[AutoscalingContext], float]
"""A policy of the user's own: how many replicas there should be. Rounded up, and kept within the bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscalingConfig:
    """How many replicas there may be, and what more or fewer of them depends on.

    There are as many as it takes to have ``target_ongoing_requests`` in each, on the mean of the last
    ``look_back_period_s`` seconds. More are started when more were called for during all of ``upscale_delay_s``, some
    are ended when fewer sufficed during all of ``downscale_delay_s``. A factor multiplies the difference: 2 takes steps
    twice as large, 0.5 half as large. ``initial_replicas`` counts when the deployment is new; None = ``min_replicas``.
    Routers report every ``metrics_interval_s`` seconds; a request that finds no replica is reported at once.

    ``policy`` takes the place of the rule: a function that gets an :class:`AutoscalingContext` and returns how many
    replicas there should be, or its import path "module:function". It runs in a replica of the deployment.
    """

    max_replicas: int
    min_replicas: int = 1
    initial_replicas: int | None = None
    target_ongoing_requests: float = 2.0
    upscale_delay_s: float = 3.0
    downscale_delay_s: float = 60.0
    upscaling_factor: float = 1.0
    downscaling_factor: float = 1.0
    look_back_period_s: float = 3.0
    metrics_interval_s: float = 0.5
    policy: str | Policy = ""

    def __post_init__(self) -> None:
        check_whole_number("min_replicas", self.min_replicas, at_least=0, at_most=MOST_REPLICAS)
        check_whole_number("max_replicas", self.max_replicas, at_least=1, at_most=MOST_REPLICAS)
        for setting in ("target_ongoing_requests", "upscaling_factor", "downscaling_factor"):
            check_number(setting, getattr(self, setting), zero_allowed=False)
        for setting in ("look_back_period_s", "metrics_interval_s"):
            check_number(setting, getattr(self, setting), zero_allowed=False)
            if getattr(self, setting) < SHORTEST_S:
                raise ConfigError(f"{setting} must be at least {SHORTEST_S:g}, not {getattr(self, setting)!r}")
        for setting in ("upscale_delay_s", "downscale_delay_s"):
            check_number(setting, getattr(self, setting), zero_allowed=True)
        _check_policy(self.policy)
        if self.min_replicas > self.max_replicas:
            raise ConfigError(
                f"min_replicas={self.min_replicas} is more than max_replicas={self.max_replicas}: "
                "autoscaling_config needs min_replicas <= max_replicas"
            )
        if self.initial_replicas is not None:
            check_whole_number("initial_replicas", self.initial_replicas, at_least=0, at_most=MOST_REPLICAS)
            if not self.min_replicas <= self.initial_replicas <= self.max_replicas:
                raise ConfigError(
                    f"initial_replicas={self.initial_replicas} is not between min_replicas={self.min_replicas} and "
                    f"max_replicas={self.max_replicas}"
                )

    @classmethod
    def of(cls, value: object, before: AutoscalingConfig | None = None) -> AutoscalingConfig | None:
        """The config that a user wrote: one, a mapping of its settings, or None for none.

        Settings that a mapping leaves out are those of ``before``. Raises :class:`mesh.errors.ConfigError`.
        """
        if value is None or isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(
                "autoscaling_config must be a mesh.AutoscalingConfig or a dict such as "
                f'{{"min_replicas": 0, "max_replicas": 8}}, not {value!r}'
            )
        settings = _by_present_names(value)
        if before is not None:
            return dataclasses.replace(before, **settings)
        if "max_replicas" not in settings:
            raise ConfigError("autoscaling_config needs max_replicas: how many replicas there may be at most")
        return cls(**settings)

    @property
    def first_replicas(self) -> int:
        """How many replicas a new deployment starts with."""
        return self.min_replicas if self.initial_replicas is None else self.initial_replicas

    @property
    def policy_name(self) -> str:
        """How the policy is called where the function itself is not known; "" for the rule of mesh."""
        return self.policy if isinstance(self.policy, str) else getattr(self.policy, "__qualname__", repr(self.policy))

    @property
    def policy_blob(self) -> str:
        """The SHA-256 of the blob that holds the policy; "" when none does."""
        policy = self.policy_name
        return policy.removeprefix(PICKLED_POLICY) if policy.startswith(PICKLED_POLICY) else ""

    def bounded(self, replicas: int) -> int:
        """That many replicas, or the nearest number that is allowed."""
        return max(self.min_replicas, min(self.max_replicas, replicas))

    def to_proto(self) -> pb.AutoscalingConfig:
        """As it travels; a policy that is a function has been given a name before."""
        return pb.AutoscalingConfig(
            min_replicas=self.min_replicas,
            max_replicas=self.max_replicas,
            initial_replicas=self.initial_replicas,
            target_ongoing_requests=self.target_ongoing_requests,
            upscale_delay_s=self.upscale_delay_s,
            downscale_delay_s=self.downscale_delay_s,
            upscaling_factor=self.upscaling_factor,
            downscaling_factor=self.downscaling_factor,
            look_back_period_s=self.look_back_period_s,
            metrics_interval_s=self.metrics_interval_s,
            policy=self.policy_name,
        )

    @classmethod
    def from_proto(cls, message: pb.AutoscalingConfig) -> AutoscalingConfig:
        """What :meth:`to_proto` was made from."""
        return cls(
            min_replicas=message.min_replicas,
            max_replicas=message.max_replicas,
            initial_replicas=message.initial_replicas if message.HasField("initial_replicas") else None,
            target_ongoing_requests=message.target_ongoing_requests,
            upscale_delay_s=message.upscale_delay_s,
            downscale_delay_s=message.downscale_delay_s,
            upscaling_factor=message.upscaling_factor,
            downscaling_factor=message.downscaling_factor,
            look_back_period_s=message.look_back_period_s,
            metrics_interval_s=message.metrics_interval_s,
            policy=message.policy,
        )


def _check_policy(policy: object) -> None:
    if isinstance(policy, str):
        if policy and not all(policy.partition(":")):
            raise ConfigError(f'policy must be a function or its import path "module:function", not {policy!r}')
    elif not callable(policy):
        raise ConfigError(f'policy must be a function or its import path "module:function", not {policy!r}')
    elif inspect.iscoroutinefunction(policy) or inspect.isgeneratorfunction(policy):
        raise ConfigError(f"policy must be a plain def that returns a number, {policy!r} is none")


def _by_present_names(written: Mapping[Any, Any]) -> dict[str, Any]:
    known = [field.name for field in dataclasses.fields(AutoscalingConfig)]
    settings: dict[str, Any] = {}
    for name, value in written.items():
        if name not in known and name not in _OLD_NAMES:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(known)}"
            raise ConfigError(f"autoscaling_config has no setting {name!r}: {hint}")
        for present in _OLD_NAMES.get(name, (name,)):
            if settings.setdefault(present, value) != value:
                raise ConfigError(
                    f"{present}={settings[present]!r} and {value!r} in {name} contradict each other: leave one out"
                )
    return settings
