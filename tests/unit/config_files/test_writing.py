"""What is written is what would be read: applications as a config file."""

from __future__ import annotations

import json

import pytest

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
