"""The options of a deployment as a user writes them, and the fields that they change."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from mesh.autoscaling import AutoscalingConfig
from mesh.config import DeploymentConfig
from mesh.errors import ConfigError, NotSupportedYet
from mesh.user_config import encode_user_config


class DeploymentOptions(TypedDict, total=False):
    """What ``@deployment(...)`` and ``.options(...)`` take; the defaults are those of :class:`DeploymentConfig`."""

    name: str
    version: str | None
    init_args: Sequence[Any] | None
    init_kwargs: Mapping[str, Any] | None
    route_prefix: str | None
    num_replicas: int
    max_ongoing_requests: int
    max_queued_requests: int
    request_timeout_s: float | None
    graceful_shutdown_timeout_s: float
    health_check_period_s: float
    health_check_timeout_s: float
    health_check_failure_threshold: int
    max_surge: int | str
    max_unavailable: int | str
    num_cpus: float
    num_gpus: float
    threads: int
    retry_on_death: bool
    max_body_bytes: int
    user_config: Any
    autoscaling_config: AutoscalingConfig | Mapping[str, Any] | None
    # Accepted for the sake of programs that were written for Ray Serve:
    max_concurrent_queries: int
    ray_actor_options: Mapping[str, Any] | None


def changed_fields(options: Mapping[str, Any], config: DeploymentConfig) -> dict[str, Any]:
    """The options as fields of a :class:`mesh.deployments.Deployment` whose settings are ``config`` so far.

    Raises :class:`ConfigError` for an option of a wrong name, type or value, :class:`NotSupportedYet` for options of
    Ray Serve that mesh does not have.
    """
    for name in options:
        _check_known(name)
    settings = _by_present_names(options)
    settings |= scaling_settings(settings, config)
    changed: dict[str, Any] = {name: settings.pop(name) for name in ("name", "version") if name in settings}
    if "route_prefix" in settings:
        changed["own_route_prefix"] = settings.pop("route_prefix")
    if "init_args" in settings:
        changed["init_args"] = _init_args(settings.pop("init_args"))
    if "init_kwargs" in settings:
        changed["init_kwargs"] = _init_kwargs(settings.pop("init_kwargs"))
    if settings:
        changed["config"] = dataclasses.replace(config, **settings)
    return changed


_RAY_ACTOR_OPTIONS = ("num_cpus", "num_gpus")


def _check_known(name: str) -> None:
    known = DeploymentOptions.__annotations__
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the options are {', '.join(known)}"
    raise ConfigError(f"a deployment has no option {name!r}: {hint}")


def scaling_settings(settings: Mapping[str, Any], before: DeploymentConfig) -> dict[str, Any]:
    """What settings say about the number of replicas, as both of its fields: the one given ends the other.

    A number ends autoscaling, an autoscaling_config makes the number of ``before`` count for nothing.
    """
    if settings.get("autoscaling_config") is not None:
        if "num_replicas" in settings:
            raise ConfigError(
                "num_replicas and autoscaling_config exclude each other: the one fixes what the other changes; "
                "initial_replicas says how many there are at first"
            )
        scaling = AutoscalingConfig.of(settings["autoscaling_config"], before.autoscaling_config)
        return {"autoscaling_config": scaling, "num_replicas": DeploymentConfig().num_replicas}
    return {"autoscaling_config": None} if "num_replicas" in settings else {}


def _by_present_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without those of Ray Serve, whose values go to the options that mesh has for them."""
    settings = dict(options)
    if "user_config" in settings:
        settings["user_config_json"] = encode_user_config(settings.pop("user_config"))
    if "max_concurrent_queries" in settings:
        _take(settings, "max_ongoing_requests", settings.pop("max_concurrent_queries"), "max_concurrent_queries")
    actor_options = settings.pop("ray_actor_options", None) or {}
    if not isinstance(actor_options, Mapping):
        raise ConfigError(f'ray_actor_options must be a dict such as {{"num_cpus": 1}}, not {actor_options!r}')
    for name, value in actor_options.items():
        if name not in _RAY_ACTOR_OPTIONS:
            raise NotSupportedYet(f"{name!r} in ray_actor_options is not supported; {_RAY_ACTOR_OPTIONS} are")
        _take(settings, name, value, "ray_actor_options")
    return settings


def _take(settings: dict[str, Any], name: str, value: Any, old_place: str) -> None:
    if settings.setdefault(name, value) != value:
        raise ConfigError(
            f"{name}={settings[name]!r} and {value!r} in {old_place} contradict each other: leave one out"
        )


def _init_args(value: object) -> tuple[Any, ...]:
    if value is None:
        return ()
    if not isinstance(value, tuple | list):
        raise ConfigError(f"init_args must be a tuple or a list, not {value!r}; for one argument write ({value!r},)")
    return tuple(value)


def _init_kwargs(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ConfigError(f"init_kwargs must be a dict with names as keys, not {value!r}")
    return dict(value)
