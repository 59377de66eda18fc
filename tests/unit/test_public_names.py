"""What a program may import says of itself what it is, and the reference pages have all of it."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from mesh import errors
from mesh.config import DeploymentConfig
from mesh.options import DeploymentOptions
from tests.documentation.blocks import ROOT
from tests.documentation.public_names import MODULES, public_names, without_docstring


def test_every_public_name_and_method_has_a_docstring() -> None:
    assert without_docstring() == []


def test_public_names_are_those_of_every_module() -> None:
    assert {name.rpartition(".")[0].removesuffix(".DriverDeployment") for name in public_names()} == set(MODULES)


def test_table_of_options_has_every_option() -> None:
    page = (ROOT / "docs/deployment_features.md").read_text().partition("## Options")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (.*?) \|", page, re.MULTILINE)
    told = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert told == set(DeploymentOptions.__annotations__)


@pytest.mark.parametrize(
    "field",
    [field for field in dataclasses.fields(DeploymentConfig) if field.name in DeploymentOptions.__annotations__],
)
def test_table_of_options_has_the_default(field: dataclasses.Field[object]) -> None:
    page = (ROOT / "docs/deployment_features.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith("|") and f"`{field.name}`" in line.split("|")[1]]
    names, defaults = (
        cell.replace("`", "").split(", ") for cell in (row.split("|")[1].strip(), row.split("|")[2].strip())
    )
    default = defaults[names.index(field.name) if len(defaults) > 1 else 0]
    assert default in (str(field.default), f"{field.default:g}" if isinstance(field.default, float) else "")


def test_table_of_errors_has_every_error_and_what_clients_see() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    told = {name: (also, int(http), grpc) for name, also, http, grpc in rows}
    classes = [
        value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__
    ]
    assert told == {
        one.__name__: (one.__bases__[1].__name__ if len(one.__bases__) > 1 else "", one.http_status, one.grpc_code)
        for one in classes
        if one is not errors.MeshError
    }
