"""What can be set of autoscaling, and what every contradiction is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from mesh.autoscaling import AutoscalingConfig, AutoscalingContext
from mesh.config import DeploymentConfig
from mesh.errors import ConfigError
from mesh.options import changed_fields

DEFAULT = DeploymentConfig()


def config_after(before: DeploymentConfig = DEFAULT, **options: Any) -> DeploymentConfig:
    config: DeploymentConfig = changed_fields(options, before)["config"]
    return config


async def _asynchronous(context: AutoscalingContext) -> int:
    return 1


@pytest.mark.feature("11")
def test_a_dict_and_a_config_are_the_same() -> None:
    written = {"min_replicas": 0, "max_replicas": 8, "target_ongoing_requests": 5}
    config = AutoscalingConfig(min_replicas=0, max_replicas=8, target_ongoing_requests=5)
    assert config_after(autoscaling_config=written) == config_after(autoscaling_config=config)
    assert config_after(autoscaling_config=config).autoscaling_config == config


@pytest.mark.feature("11")
def test_the_names_of_ray_serve_are_known() -> None:
    written = {
        "max_replicas": 3,
        "target_num_ongoing_requests_per_replica": 7,
        "smoothing_factor": 0.5,
    }
    assert config_after(autoscaling_config=written).autoscaling_config == AutoscalingConfig(
        max_replicas=3, target_ongoing_requests=7, upscaling_factor=0.5, downscaling_factor=0.5
    )


@pytest.mark.feature("11")
@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param({"min_replicas": 3, "max_replicas": 2}, "min_replicas=3 is more than max_replicas=2", id="bounds"),
        pytest.param(
            {"min_replicas": 2, "max_replicas": 4, "initial_replicas": 5},
            "initial_replicas=5 is not between min_replicas=2 and max_replicas=4",
            id="beyond the bounds at first",
        ),
        pytest.param({"min_replicas": 1}, "needs max_replicas", id="no upper bound"),
        pytest.param({"max_replicas": 0}, "max_replicas must be a whole number from 1", id="never any"),
        pytest.param({"max_replicas": 2, "min_replicas": 1.5}, "min_replicas must be a whole number", id="a half"),
        pytest.param(
            {"max_replicas": 2, "target_ongoing_requests": 0}, "target_ongoing_requests must be .* above 0", id="target"
        ),
        pytest.param({"max_replicas": 2, "upscale_delay_s": -1}, "upscale_delay_s must be .* at least 0", id="delay"),
        pytest.param({"max_replicas": 2, "metrics_interval_s": 1e-9}, "metrics_interval_s must be at least", id="work"),
        pytest.param({"max_replica": 2}, "no setting 'max_replica': did you mean max_replicas", id="misspelt"),
        pytest.param(
            {"max_replicas": 2, "target_ongoing_requests": 1, "target_num_ongoing_requests_per_replica": 2},
            "target_ongoing_requests=1 and 2 in target_num_ongoing_requests_per_replica contradict",
            id="old and new name",
        ),
        pytest.param(8, "must be a mesh.AutoscalingConfig or a dict such as", id="a number"),
        pytest.param({"max_replicas": 2, "policy": "busy"}, "\"module:function\", not 'busy'", id="no import path"),
        pytest.param({"max_replicas": 2, "policy": 7}, '"module:function", not 7', id="no function"),
        pytest.param({"max_replicas": 2, "policy": _asynchronous}, "must be a plain def", id="an async def"),
    ],
)
def test_what_contradicts_itself_is_refused(written: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config_after(autoscaling_config=written)


def test_a_number_ends_autoscaling_and_autoscaling_a_number() -> None:
    scaled = config_after(autoscaling_config={"max_replicas": 4})
    assert config_after(scaled, num_replicas=3) == DeploymentConfig(num_replicas=3)
    assert config_after(DeploymentConfig(num_replicas=3), autoscaling_config={"max_replicas": 4}) == scaled
    assert config_after(scaled, autoscaling_config=None) == DEFAULT


def test_what_an_option_leaves_out_stays() -> None:
    scaled = config_after(autoscaling_config={"max_replicas": 4, "min_replicas": 0})
    assert config_after(scaled, autoscaling_config={"max_replicas": 6}).autoscaling_config == AutoscalingConfig(
        min_replicas=0, max_replicas=6
    )
