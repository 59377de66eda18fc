"""The values of a deployment and an application: what they refuse, and that nothing is lost on the wire."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mesh.config import (
    Application,
    ApplicationSpec,
    DeploymentConfig,
    DeploymentSpec,
    Method,
    MethodKind,
    Runtime,
    blob_name,
    check_name,
    check_route_prefix,
)
from mesh.errors import ConfigError
from mesh.v1 import deployment_pb2 as pb

RUNTIME = Runtime("/usr/bin/python3", ("/home/user/app", ""), "/home/user/app")
EVERY_SETTING = DeploymentConfig(
    num_replicas=3,
    max_ongoing_requests=7,
    max_queued_requests=0,
    request_timeout_s=1.5,
    graceful_shutdown_timeout_s=0.0,
    health_check_period_s=2.5,
    health_check_timeout_s=3.5,
    num_cpus=0.5,
    num_gpus=2,
    threads=4,
    retry_on_death=True,
    max_body_bytes=2**40,
    user_config_json='{"a": 1}',
)


def spec(name: str = "Model", application: str = "shop", **changes: Any) -> DeploymentSpec:
    return DeploymentSpec(application, name, RUNTIME, **{"import_path": "models:Model", **changes})


@pytest.mark.feature("11")
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("num_replicas", 0, id="no replicas"),
        pytest.param("num_replicas", -1, id="less than no replicas"),
        pytest.param("num_replicas", True, id="a bool is no number of replicas"),
        pytest.param("num_replicas", 1.0, id="a float is no number of replicas"),
        pytest.param("num_replicas", "2", id="a string is no number of replicas"),
        pytest.param("num_replicas", 2**32, id="more replicas than the wire can say"),
        pytest.param("max_ongoing_requests", 0, id="no room for any request"),
        pytest.param("max_queued_requests", -1, id="a queue of negative length"),
        pytest.param("max_body_bytes", 0, id="no body at all"),
        pytest.param("threads", 0, id="no thread"),
        pytest.param("request_timeout_s", 0, id="a request with no time"),
        pytest.param("request_timeout_s", float("inf"), id="an infinite timeout is written None"),
        pytest.param("graceful_shutdown_timeout_s", -0.1, id="a negative timeout"),
        pytest.param("graceful_shutdown_timeout_s", None, id="None where only a number will do"),
        pytest.param("health_check_period_s", 0, id="health checks without a pause"),
        pytest.param("health_check_timeout_s", float("nan"), id="not a number"),
        pytest.param("num_cpus", -1, id="negative CPUs"),
        pytest.param("num_gpus", "1", id="a string is no number of GPUs"),
        pytest.param("retry_on_death", 1, id="a number is no bool"),
    ],
)
def test_a_setting_that_is_not_allowed_is_named_with_its_value(setting: str, value: object) -> None:
    with pytest.raises(ConfigError) as refused:
        DeploymentConfig(**{setting: value})  # type: ignore[arg-type]
    assert str(refused.value).startswith(f"{setting} must be")
    assert str(refused.value).endswith(f"not {value!r}")


@pytest.mark.parametrize("name", ["Model", "rep-1", "_private", "2nd", "a.b", "x" * 64])
def test_a_name_that_is_allowed(name: str) -> None:
    check_name("deployment", name)


@pytest.mark.parametrize("name", ["", "a b", "<lambda>", "-a", ".a", "Café", "a/b", "a#1", "a\n", "x" * 65, None, 5])
def test_a_name_that_is_not_allowed(name: object) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a deployment"):
        check_name("deployment", name)


@pytest.mark.feature("36")
@pytest.mark.parametrize("prefix", [None, "/", "/api", "/api/v1", "/rep-1", "/a.b"])
def test_a_route_prefix_that_is_allowed(prefix: str | None) -> None:
    check_route_prefix(prefix)


@pytest.mark.feature("36")
@pytest.mark.parametrize(
    "prefix", ["", "api", "/api/", "//", "//api", "/a//b", "/{id}", "/a?b", "/a#b", "/-/x", "/-", 5]
)
def test_a_route_prefix_that_is_not_allowed(prefix: object) -> None:
    with pytest.raises(ConfigError, match="cannot be a route prefix"):
        check_route_prefix(prefix)


def test_a_spec_needs_exactly_one_way_to_its_target() -> None:
    with pytest.raises(ConfigError, match="either an import path or a pickled target"):
        spec(import_path="")
    with pytest.raises(ConfigError, match="either an import path or a pickled target"):
        spec(target_blob="ab")


@pytest.mark.parametrize("path", ["models", "models:", ":Model"])
def test_an_import_path_names_module_and_target(path: str) -> None:
    with pytest.raises(ConfigError, match="module:qualname"):
        spec(import_path=path)


@pytest.mark.parametrize(
    ("application", "message"),
    [
        pytest.param(lambda: ApplicationSpec("shop", "Other", (spec(),)), "must be one of", id="a driver not in it"),
        pytest.param(lambda: ApplicationSpec("shop", "Model", (spec(), spec())), "more than one", id="a name twice"),
        pytest.param(lambda: ApplicationSpec("bank", "Model", (spec(),)), "belongs to", id="a stranger's deployment"),
        pytest.param(lambda: ApplicationSpec("shop", "Model", (spec(),), "api"), "route prefix", id="a bad prefix"),
        pytest.param(lambda: ApplicationSpec("a b", "Model", (spec(),)), "name of an application", id="a bad name"),
    ],
)
def test_an_application_that_does_not_fit_together(application: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        application()


def test_an_application_brings_the_blobs_that_it_names() -> None:
    with pytest.raises(ConfigError, match="names the blob"):
        Application(ApplicationSpec("shop", "Model", (spec(init_blob=blob_name(b"x")),)), {})


def test_a_blob_whose_content_is_not_what_its_name_says_is_refused() -> None:
    request = Application(
        ApplicationSpec("shop", "Model", (spec(init_blob=blob_name(b"x")),)), {blob_name(b"x"): b"x"}
    ).to_proto()
    request.blobs[0].content = b"y"
    with pytest.raises(ConfigError, match="another SHA-256"):
        Application.from_proto(request)


@pytest.mark.parametrize("route_prefix", [None, "/", "/api"])
def test_nothing_is_lost_on_the_wire(route_prefix: str | None) -> None:
    methods = tuple(Method(kind.name.lower(), kind, kind is MethodKind.DEF) for kind in MethodKind)
    blobs = {blob_name(content): content for content in (b"target", b"init")}
    target, init = blobs
    deployments = (
        spec(source_sha256="ab", version="1", methods=methods, config=EVERY_SETTING),
        spec("Other", import_path="", target_blob=target, init_blob=init),
    )
    application = Application(ApplicationSpec("shop", "Other", deployments, route_prefix), blobs)
    assert Application.from_proto(application.to_proto()) == application


def test_the_test_above_changes_every_setting() -> None:
    default = DeploymentConfig()
    same = [f.name for f in dataclasses.fields(default) if getattr(default, f.name) == getattr(EVERY_SETTING, f.name)]
    assert same == []


def test_a_request_that_never_times_out_stays_so_on_the_wire() -> None:
    never = DeploymentConfig(request_timeout_s=None)
    assert DeploymentConfig.from_proto(never.to_proto()) == never


def test_the_schema_has_the_same_settings() -> None:
    assert [f.name for f in pb.DeploymentConfig.DESCRIPTOR.fields] == [
        f.name for f in dataclasses.fields(DeploymentConfig)
    ]
