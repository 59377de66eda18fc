"""How far an update may go, for numbers and percentages."""

from __future__ import annotations

import pytest

from mesh.config import DeploymentConfig
from mesh.errors import ConfigError
from mesh.update_limits import Limit, UpdateLimits


@pytest.mark.parametrize(
    ("max_surge", "max_unavailable", "wanted", "surge", "unavailable"),
    [
        pytest.param("100%", 0, 8, 8, 0, id="by default all new ones beside the old ones"),
        pytest.param(1, 0, 8, 1, 0, id="numbers are taken as they are"),
        pytest.param("25%", "25%", 10, 3, 2, id="a surge is rounded up and what is missing down"),
        pytest.param("1%", 0, 3, 1, 0, id="any surge is at least one"),
        pytest.param("0%", "10%", 3, 0, 1, id="where both come to nothing one may be missing"),
        pytest.param(0, "100%", 4, 0, 4, id="all may be missing"),
    ],
)
def test_limits(max_surge: Limit, max_unavailable: Limit, wanted: int, surge: int, unavailable: int) -> None:
    config = DeploymentConfig(max_surge=max_surge, max_unavailable=max_unavailable)
    assert config.update_limits(wanted) == UpdateLimits(surge, unavailable)
    assert DeploymentConfig.from_proto(config.to_proto()) == config


@pytest.mark.parametrize("surge", [0, "0%"])
@pytest.mark.parametrize("unavailable", [0, "0%"])
def test_an_update_that_could_not_begin_is_refused(surge: Limit, unavailable: Limit) -> None:
    with pytest.raises(ConfigError, match=r"max_surge=.* and max_unavailable=.* contradict each other"):
        DeploymentConfig(max_surge=surge, max_unavailable=unavailable)


def test_what_an_older_version_has_written_means_the_defaults() -> None:
    message = DeploymentConfig().to_proto()
    for name in ("max_surge", "max_unavailable", "health_check_failure_threshold"):
        message.ClearField(name)
    assert DeploymentConfig.from_proto(message) == DeploymentConfig()
