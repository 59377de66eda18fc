"""From applications, as built from code or as deployed, to the text of a config file that would deploy them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import yaml

from mesh.autoscaling import AutoscalingConfig
from mesh.config import ApplicationSpec, DeploymentConfig, DeploymentSpec
from mesh.user_config import decode_user_config

ALWAYS_WRITTEN = ("num_replicas",)
"""Settings that are written although they are the default: what people come to change."""


def to_yaml(applications: Sequence[ApplicationSpec]) -> str:
    """The config file for these applications. What a script deployed has no import path, and becomes a comment."""
    comments = [
        f"# application {application.name!r} was deployed by a script: nothing leads back to its code\n"
        for application in applications
        if not application.origin
    ]
    return "".join(comments) + yaml.safe_dump(_content(applications), sort_keys=False, allow_unicode=True)


def to_json(applications: Sequence[ApplicationSpec]) -> str:
    """The same as JSON, without comments."""
    return json.dumps(_content(applications), indent=2) + "\n"


def origin(import_path: str, args: dict[str, Any]) -> str:
    """How an application is found again, as its spec keeps it."""
    return json.dumps({"import_path": import_path, "args": args}, default=str)


def _content(applications: Sequence[ApplicationSpec]) -> dict[str, Any]:
    return {"applications": [_entry(application) for application in applications if application.origin]}


def _entry(application: ApplicationSpec) -> dict[str, Any]:
    source = json.loads(application.origin)
    entry: dict[str, Any] = {
        "name": application.name,
        "import_path": source["import_path"],
        "route_prefix": application.route_prefix,
    }
    if source["args"]:
        entry["args"] = source["args"]
    entry["deployments"] = [_deployment(deployment) for deployment in application.deployments]
    return entry


def _deployment(spec: DeploymentSpec) -> dict[str, Any]:
    defaults = DeploymentConfig()
    entry: dict[str, Any] = {"name": spec.name}
    if spec.version:
        entry["version"] = spec.version
    scaling = spec.config.autoscaling_config
    for field in dataclasses.fields(spec.config):
        if field.name in ("user_config_json", "autoscaling_config") or (field.name == "num_replicas" and scaling):
            continue  # written below in other words, or refused beside what is
        value = getattr(spec.config, field.name)
        if field.name in ALWAYS_WRITTEN or value != getattr(defaults, field.name):
            entry[field.name] = value
    if spec.config.user_config_json:
        entry["user_config"] = decode_user_config(spec.config.user_config_json)
    if scaling:
        entry["autoscaling_config"] = _scaling(scaling)
    return entry


def _scaling(config: AutoscalingConfig) -> dict[str, Any]:
    """All of it, because what a file leaves out stays as the code has it.

    So does a pickled policy, which has no name in a file.
    """
    names = [field.name for field in dataclasses.fields(config) if field.name != "policy" or not config.policy_blob]
    return {name: getattr(config, name) for name in names}
