"""What a command is to deploy: from an import path or a config file to applications, all of them or an error.

Everything is imported, built and checked before anything is deployed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.application import application_of
from mesh.cli.builder import read_arguments
from mesh.cli.import_path import load_node
from mesh.config import Application, ApplicationSpec
from mesh.config_files.writing import origin
from mesh.errors import ConfigError, MeshError
from mesh.options import scaling_settings
from mesh.user_config import encode_user_config

if TYPE_CHECKING:
    from mesh.config_files.reading import Lines
    from mesh.config_files.schema import ApplicationEntry
    from mesh.listen_options import GRPCOptions, HTTPOptions


@dataclass(frozen=True, slots=True)
class Wanted:
    """Applications that are to be deployed, and where a config file says that their mesh listens."""

    applications: tuple[Application, ...]
    http_options: HTTPOptions | None = None
    grpc_options: GRPCOptions | None = None


def is_config_file(target: str) -> bool:
    """Whether a command was given a config file and no import path."""
    return target.endswith((".yaml", ".yml"))


def load(
    target: str, words: Sequence[str], app_dir: Path, name: str | None = None, route_prefix: str | None = None
) -> Wanted:
    """The applications of a config file, or the one of an import path with its "key=value" arguments.

    Raises :class:`mesh.errors.MeshError` for the first that cannot be built.
    """
    if not is_config_file(target):
        args = read_arguments(list(words))
        return Wanted((_build(target, args, app_dir, name or "default", route_prefix or "/"),))
    for what, given in (("arguments", words), ("--name", name), ("--route-prefix", route_prefix)):
        if given:
            raise ConfigError(f"{what} cannot be given with a config file: {target} says it for each application")
    return _load_file(Path(target), app_dir)


def _build(import_path: str, args: dict[str, Any], app_dir: Path, name: str, route_prefix: str | None) -> Application:
    application = application_of(load_node(import_path, app_dir, args), name, route_prefix)
    return replace(application, spec=replace(application.spec, origin=origin(import_path, args)))


def _load_file(path: Path, app_dir: Path) -> Wanted:
    from mesh.config_files.reading import read_config_file
    from mesh.listen_options import GRPCOptions, HTTPOptions

    config, lines = read_config_file(path)
    applications = []
    for number, entry in enumerate(config.applications):
        place = ("applications", number, "import_path")
        try:
            built = _build(entry.import_path, entry.args, app_dir, entry.name, entry.route_prefix)
        except MeshError as error:
            raise ConfigError(f"{lines.at(place)}: {error}") from None
        applications.append(replace(built, spec=_overridden(built.spec, entry, number, lines)))
    return Wanted(
        tuple(applications),
        HTTPOptions(**config.http_options.given()) if config.http_options else None,
        GRPCOptions(**config.grpc_options.given()) if config.grpc_options else None,
    )


def _overridden(spec: ApplicationSpec, entry: ApplicationEntry, number: int, lines: Lines) -> ApplicationSpec:
    """The application with the settings of the file in the place of those of the code."""
    known = {deployment.name: deployment for deployment in spec.deployments}
    for index, override in enumerate(entry.deployments):
        settings = override.given()
        name = settings.pop("name")
        if name not in known:
            where = lines.at(("applications", number, "deployments", index, "name"))
            raise ConfigError(f"{where}: {entry.import_path} has no deployment {name!r}; it has {', '.join(known)}")
        if "user_config" in settings:
            settings["user_config_json"] = encode_user_config(settings.pop("user_config"))
        if (scaling := settings.get("autoscaling_config")) is not None:
            settings["autoscaling_config"] = scaling.given()
        version = settings.pop("version", known[name].version) or ""
        try:
            settings |= scaling_settings(settings, known[name].config)
        except ConfigError as error:
            where = lines.at(("applications", number, "deployments", index, "autoscaling_config"))
            raise ConfigError(f"{where}: {error}") from None
        changed = replace(known[name], version=version, config=replace(known[name].config, **settings))
        spec = spec.with_deployment(changed)
    return spec
