"""Finding a deployment by its name among several applications."""

from __future__ import annotations

import pytest

from mesh.config import ApplicationSpec, DeploymentSpec, Runtime
from mesh.errors import ConfigError, DeploymentNotFound
from mesh.lookup import find_deployment, names_of


def application(name: str, *deployments: str) -> ApplicationSpec:
    runtime = Runtime("python", (), "/")
    specs = tuple(DeploymentSpec(name, one, runtime, import_path=f"shop:{one}") for one in deployments)
    return ApplicationSpec(name, deployments[0], specs)


SHOP, CAFE = application("shop", "Shop", "Prices"), application("cafe", "Cafe", "Prices")


@pytest.mark.feature("63c")
@pytest.mark.parametrize(
    ("name", "of", "found"),
    [
        pytest.param("Shop", None, ("shop", "Shop"), id="a name that is unique"),
        pytest.param("cafe/Prices", None, ("cafe", "Prices"), id="application and name in one"),
        pytest.param("Prices", "shop", ("shop", "Prices"), id="application apart"),
    ],
)
def test_a_deployment_is_found(name: str, of: str | None, found: tuple[str, str]) -> None:
    application, deployment = find_deployment([SHOP, CAFE], name, of)
    assert (application.name, deployment.name) == found


def test_an_ambiguous_name_is_refused_with_both() -> None:
    with pytest.raises(ConfigError, match="there are 2 deployments 'Prices': shop/Prices and cafe/Prices; say which"):
        find_deployment([SHOP, CAFE], "Prices")


@pytest.mark.parametrize(("name", "of"), [("Tea", None), ("shop/Cafe", None), ("Cafe", "shop"), ("Prices", "tea")])
def test_an_unknown_name_is_a_key_error_with_those_that_there_are(name: str, of: str | None) -> None:
    with pytest.raises(DeploymentNotFound, match="there are: Shop, shop/Prices, Cafe, cafe/Prices") as raised:
        find_deployment([SHOP, CAFE], name, of)
    assert isinstance(raised.value, KeyError)


def test_names_are_long_only_where_they_have_to_be() -> None:
    assert list(names_of([SHOP, CAFE])) == ["Shop", "shop/Prices", "Cafe", "cafe/Prices"]
    assert list(names_of([SHOP])) == ["Shop", "Prices"]
