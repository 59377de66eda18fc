"""What a config file sets otherwise than the code: found, put together, and refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mesh.autoscaling import AutoscalingConfig
from mesh.cli.applications import load
from mesh.config import DeploymentConfig
from mesh.errors import ConfigError

CODE = """\
import mesh


@mesh.deployment(autoscaling_config={"min_replicas": 0, "max_replicas": 4, "policy": lambda context: 1})
def scaled() -> None: ...


@mesh.deployment(num_replicas=3)
def fixed() -> None: ...


@mesh.deployment
class Both:
    def __init__(self, *handles: mesh.DeploymentHandle) -> None: ...


node = Both.bind(scaled.bind(), fixed.bind())
"""


def loaded(folder: Path, settings: str) -> dict[str, DeploymentConfig]:
    module = f"code_of_{folder.name}"  # imported once for each test
    (folder / f"{module}.py").write_text(CODE)
    entry = f"applications:\n- import_path: {module}:node\n  deployments:\n"
    (folder / "file.yaml").write_text(entry + settings)
    (application,) = load(str(folder / "file.yaml"), (), folder).applications
    return {deployment.name: deployment.config for deployment in application.spec.deployments}


def scaling(config: DeploymentConfig) -> dict[str, Any]:
    found = config.autoscaling_config
    assert found is not None
    return {"min": found.min_replicas, "max": found.max_replicas, "pickled": bool(found.policy_blob)}


@pytest.mark.feature("14")
def test_a_file_changes_what_it_names_of_autoscaling_and_leaves_the_rest(tmp_path: Path) -> None:
    configs = loaded(tmp_path, "  - name: scaled\n    autoscaling_config: {max_replicas: 9}\n")
    assert scaling(configs["scaled"]) == {"min": 0, "max": 9, "pickled": True}


@pytest.mark.feature("14")
def test_a_file_ends_autoscaling_by_a_number_and_a_number_by_autoscaling(tmp_path: Path) -> None:
    configs = loaded(
        tmp_path,
        "  - name: scaled\n    num_replicas: 2\n  - name: fixed\n    autoscaling_config: {max_replicas: 2}\n",
    )
    assert configs["scaled"] == DeploymentConfig(num_replicas=2)
    assert configs["fixed"] == DeploymentConfig(autoscaling_config=AutoscalingConfig(max_replicas=2))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param(
            "  - name: scaled\n    autoscaling_config: {min_replicas: 5}\n",
            r"file.yaml:5: .*autoscaling_config: min_replicas=5 is more than max_replicas=4",
            id="contradicts the code",
        ),
        pytest.param(
            "  - name: fixed\n    autoscaling_config: {min_replicas: 1}\n",
            r"file.yaml:5: .*autoscaling_config: autoscaling_config needs max_replicas",
            id="no bound anywhere",
        ),
        pytest.param(
            "  - name: fixed\n    num_replicas: 2\n    autoscaling_config: {max_replicas: 2}\n",
            r"file.yaml:6: .*num_replicas and autoscaling_config exclude each other",
            id="both",
        ),
    ],
)
def test_what_contradicts_is_refused_with_its_line(tmp_path: Path, settings: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        loaded(tmp_path, settings)
