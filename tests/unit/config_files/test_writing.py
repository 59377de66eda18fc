"""What is written is what would be read: applications as a config file."""

from __future__ import annotations

import json

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec, Runtime
from mesh.config_files.reading import read_config
from mesh.config_files.writing import origin, to_json, to_yaml


def application(name: str, where: str, *deployments: DeploymentSpec) -> ApplicationSpec:
    return ApplicationSpec(name, deployments[-1].name, deployments, f"/{name}", where)


def deployment(of: str, name: str, version: str = "", **settings: object) -> DeploymentSpec:
    return DeploymentSpec(
        application=of,
        name=name,
        runtime=Runtime("python", (), "/"),
        version=version,
        import_path=f"shop:{name}",
        config=DeploymentConfig(**settings),  # type: ignore[arg-type]
    )


SHOP = application(
    "shop",
    origin("shop:build", {"greeting": "Hi"}),
    deployment(
        "shop", "Prices", version="2", num_replicas=3, request_timeout_s=None, user_config_json='{"discount": 0.5}'
    ),
    deployment("shop", "Shop"),
)
OF_A_SCRIPT = application("loose", "", deployment("loose", "Loose"))


@pytest.mark.feature("65")
def test_what_differs_from_the_defaults_is_written_and_read_again() -> None:
    config, _ = read_config(to_yaml([SHOP]), "written.yaml")
    (entry,) = config.applications
    assert (entry.name, entry.import_path, entry.route_prefix, entry.args) == (
        "shop",
        "shop:build",
        "/shop",
        {"greeting": "Hi"},
    )
    assert [one.given() for one in entry.deployments] == [
        {
            "name": "Prices",
            "version": "2",
            "num_replicas": 3,
            "request_timeout_s": None,
            "user_config": {"discount": 0.5},
        },
        {"name": "Shop", "num_replicas": 1},
    ]


def test_what_a_script_deployed_is_a_comment() -> None:
    text = to_yaml([OF_A_SCRIPT, SHOP])
    assert text.startswith("# application 'loose' was deployed by a script")
    config, _ = read_config(text, "written.yaml")
    assert [one.name for one in config.applications] == ["shop"]


def test_json_is_the_same_without_comments() -> None:
    config, _ = read_config(to_json([OF_A_SCRIPT, SHOP]), "written.yaml")
    assert [one.name for one in config.applications] == ["shop"]
    assert json.loads(to_json([OF_A_SCRIPT])) == {"applications": []}


@pytest.mark.feature("65")
def test_what_autoscales_is_written_without_a_number_of_replicas() -> None:
    scaling = AutoscalingConfig(min_replicas=0, max_replicas=8, upscale_delay_s=1.5, policy="policies:busy")
    loose = AutoscalingConfig(max_replicas=2, policy=f"pickle:{'ab' * 32}")
    shop = application(
        "shop",
        origin("shop:build", {}),
        deployment("shop", "Prices", autoscaling_config=scaling),
        deployment("shop", "Loose", autoscaling_config=loose),
    )
    config, _ = read_config(to_yaml([shop]), "written.yaml")
    written = [one.given() for one in config.applications[0].deployments]
    assert [(one["name"], one.keys() & {"num_replicas"}) for one in written] == [("Prices", set()), ("Loose", set())]
    assert AutoscalingConfig.of(written[0]["autoscaling_config"].given()) == scaling
    # A pickled policy has no name: read again, it is left as the code has it.
    assert AutoscalingConfig.of(written[1]["autoscaling_config"].given(), loose) == loose


@pytest.mark.feature("65")
def test_what_autoscales_is_read_again_whatever_the_code_has_by_then() -> None:
    scaling = AutoscalingConfig(max_replicas=8)
    numbered = deployment("shop", "Prices", autoscaling_config=scaling, num_replicas=3)
    config, _ = read_config(to_yaml([application("shop", origin("shop:build", {}), numbered)]), "written.yaml")
    (written,) = config.applications[0].deployments
    assert "num_replicas" not in written.given(), "it is refused beside an autoscaling_config"
    code = AutoscalingConfig(max_replicas=9, min_replicas=2, initial_replicas=4, downscale_delay_s=5, policy="m:busy")
    assert AutoscalingConfig.of(written.given()["autoscaling_config"].given(), code) == scaling
