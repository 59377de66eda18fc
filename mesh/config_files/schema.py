"""The shape of a config file, as pydantic models that are derived from the values which they become.

A new setting of :class:`mesh.config.DeploymentConfig` is allowed in config files, checked there and known to editors
without a change here.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, field_validator, model_validator

from mesh.autoscaling import MOST_REPLICAS, AutoscalingConfig
from mesh.config import DeploymentConfig, check_name, check_route_prefix
from mesh.listen_options import GRPCOptions, HTTPOptions
from mesh.user_config import encode_user_config


class _Strict(BaseModel):
    """Nothing is converted, nothing unknown is passed over: what is written is what is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self) -> dict[str, Any]:
        """The settings that the file has, by their names."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _derived(
    title: str,
    source: type[Any],
    documentation: str,
    base: type[_Strict] = _Strict,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """A model with the fields of a frozen dataclass, each checked as the dataclass checks it, ``beside`` others."""

    def check(cls: type[_Strict], value: Any, info: ValidationInfo) -> Any:
        if info.field_name in fields:
            fitting = {**beside, **_FITTING.get(info.field_name, {})}
            source(**{**fitting, info.field_name: value})  # raises ConfigError, a ValueError
        return value

    hints = get_type_hints(source) | _OTHER_TYPES
    fields: dict[str, Any] = {
        field.name: (hints[field.name], _default(field))
        for field in dataclasses.fields(source)
        if field.name not in _WRITTEN_OTHERWISE
    }
    return create_model(
        title,
        __base__=base,
        __doc__=documentation,
        __validators__={"check_setting": field_validator("*")(check)},
        **fields,
    )


_WRITTEN_OTHERWISE = ("user_config_json", "autoscaling_config")
"""Settings that a file has in a form of its own."""

_OTHER_TYPES = {"policy": str}
"""Settings of which a file can hold less than code."""


_FITTING: dict[str, dict[str, Any]] = {"max_surge": {"max_unavailable": 1}}
"""Settings beside which every value of another one is allowed: whether all of a file fit together is seen later."""


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory)
    return Field(default_factory=lambda: None) if field.default is dataclasses.MISSING else field.default


_WIDEST: Mapping[str, Any] = MappingProxyType({"min_replicas": 0, "max_replicas": MOST_REPLICAS})
"""Bounds with which no other setting of autoscaling is in conflict."""


class _ScalingAsAWhole(_Strict):
    @model_validator(mode="after")
    def _has_no_contradiction(self) -> Self:
        AutoscalingConfig(**{**_WIDEST, **self.given()})
        return self


if TYPE_CHECKING:  # mypy takes no type from a function
    AutoscalingEntry = _Strict
else:
    AutoscalingEntry = _derived(
        "Autoscaling",
        AutoscalingConfig,
        "How many replicas there may be, and what that depends on; what is left out stays as the code has it.",
        _ScalingAsAWhole,
        _WIDEST,
    )


class _NamedDeployment(_Strict):
    name: str = Field(description="The deployment's name in the application.")
    version: str | None = Field(default=None, description="Whatever its user calls it; another one, new replicas.")
    user_config: Any = Field(
        default=None, description="What reconfigure() is called with; changing it restarts nothing."
    )
    autoscaling_config: AutoscalingEntry | None = Field(
        default=None, description="How it autoscales, in the place of num_replicas; null for a fixed number."
    )

    @field_validator("user_config")
    @classmethod
    def _is_json(cls, value: Any) -> Any:
        encode_user_config(value)  # YAML knows dates and others that JSON does not
        return value


if TYPE_CHECKING:  # mypy takes no type from a function
    HTTPOptionsEntry = _Strict
    GRPCOptionsEntry = _Strict
    DeploymentEntry = _NamedDeployment
else:
    HTTPOptionsEntry = _derived("HTTPOptions", HTTPOptions, "Where HTTP listens.")
    GRPCOptionsEntry = _derived("GRPCOptions", GRPCOptions, "Where the gRPC door listens; port null opens none.")
    DeploymentEntry = _derived(
        "Deployment",
        DeploymentConfig,
        "Settings of one deployment, in the place of those that the code has.",
        _NamedDeployment,
    )


class ApplicationEntry(_Strict):
    """One application: where its code is, and what is set otherwise than there."""

    name: str = Field(default="default", description="The application's name, unique in the mesh.")
    import_path: str = Field(description="module:node, or module:function for a function that builds the node.")
    route_prefix: str | None = Field(default="/", description="Its place in HTTP; null for none.")
    args: dict[str, Any] = Field(default_factory=dict, description="Arguments of the function that builds the node.")
    deployments: list[DeploymentEntry] = Field(default_factory=list, description="Settings that differ from the code.")

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        check_name("application", name)
        return name

    @field_validator("route_prefix")
    @classmethod
    def _is_a_route_prefix(cls, prefix: str | None) -> str | None:
        check_route_prefix(prefix)
        return prefix


class ConfigFile(_Strict):
    """A config file of mesh: applications, and where a mesh that is started for them listens."""

    http_options: HTTPOptionsEntry | None = Field(default=None, description="For the mesh that `meshctl run` starts.")
    grpc_options: GRPCOptionsEntry | None = Field(default=None, description="For the mesh that `meshctl run` starts.")
    applications: list[ApplicationEntry] = Field(min_length=1, description="What is deployed.")


def json_schema() -> str:
    """The JSON schema of config files, for editors; shipped as ``mesh/config_files/schema.json``."""
    return json.dumps(ConfigFile.model_json_schema(), indent=2) + "\n"
