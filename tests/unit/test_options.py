"""The options of a deployment: their names, their old names, and what comes later."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mesh.config import DeploymentConfig
from mesh.errors import ConfigError, NotSupportedYet
from mesh.options import DeploymentOptions, changed_fields

DEFAULT = DeploymentConfig()


def config_after(**options: Any) -> DeploymentConfig:
    config = changed_fields(options, DEFAULT)["config"]
    assert isinstance(config, DeploymentConfig)
    return config


def test_every_setting_is_an_option() -> None:
    settings = {field.name.removesuffix("_json") for field in dataclasses.fields(DeploymentConfig)}
    assert settings <= set(DeploymentOptions.__annotations__)


def test_no_option_changes_nothing() -> None:
    assert changed_fields({}, DEFAULT) == {}


def test_settings_that_are_not_named_stay() -> None:
    before = DeploymentConfig(num_replicas=2, threads=3)
    assert changed_fields({"threads": 4}, before) == {"config": DeploymentConfig(num_replicas=2, threads=4)}


@pytest.mark.feature("11")
@pytest.mark.parametrize(
    ("wrong", "near"),
    [("num_replica", "num_replicas"), ("max_ongoing_request", "max_ongoing_requests"), ("rout_prefix", "route_prefix")],
)
def test_a_misspelt_option_names_the_near_one(wrong: str, near: str) -> None:
    with pytest.raises(ConfigError, match=rf"no option '{wrong}': did you mean .*{near}"):
        changed_fields({wrong: 1}, DEFAULT)


@pytest.mark.feature("11")
def test_an_option_that_is_like_no_other_names_all() -> None:
    with pytest.raises(ConfigError, match=r"no option 'zzz': the options are name, .*max_body_bytes"):
        changed_fields({"zzz": 1}, DEFAULT)


@pytest.mark.feature("11")
def test_the_old_name_of_max_ongoing_requests() -> None:
    assert config_after(max_concurrent_queries=5).max_ongoing_requests == 5


@pytest.mark.feature("13")
def test_cpus_and_gpus_in_ray_actor_options() -> None:
    config = config_after(ray_actor_options={"num_cpus": 2, "num_gpus": 1})
    assert (config.num_cpus, config.num_gpus) == (2, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrent_queries": 5, "max_ongoing_requests": 6},
        {"ray_actor_options": {"num_cpus": 1}, "num_cpus": 2},
    ],
)
def test_an_old_and_a_new_name_that_contradict_each_other(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="contradict each other"):
        changed_fields(options, DEFAULT)


@pytest.mark.parametrize(
    "options",
    [
        {"ray_actor_options": {"runtime_env": {}}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_comes_later_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(NotSupportedYet):
        changed_fields(options, DEFAULT)


def test_what_comes_later_may_be_none() -> None:
    assert changed_fields({"ray_actor_options": None}, DEFAULT) == {}


def test_a_user_config_travels_as_json_and_none_takes_it_away() -> None:
    configured = changed_fields({"user_config": {"threshold": 1}}, DEFAULT)["config"]
    assert configured == DeploymentConfig(user_config_json='{"threshold": 1}')
    assert changed_fields({"user_config": None}, configured) == {"config": DEFAULT}


@pytest.mark.feature("13")
def test_a_fixed_number_of_replicas_excludes_autoscaling() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        changed_fields({"num_replicas": 2, "autoscaling_config": {}}, DEFAULT)


@pytest.mark.feature("11")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_args": "abc"}, r"init_args must be a tuple .*write \('abc',\)"),
        ({"init_kwargs": ["a"]}, "init_kwargs must be a dict"),
        ({"init_kwargs": {1: 2}}, "init_kwargs must be a dict with names"),
        ({"ray_actor_options": 3}, "ray_actor_options must be a dict"),
    ],
)
def test_an_option_of_a_wrong_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        changed_fields(options, DEFAULT)
