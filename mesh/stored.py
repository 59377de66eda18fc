"""A deployment as a mesh keeps it: what its replicas are made from, without a need to import the user's code here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cloudpickle

from mesh.config import ApplicationSpec, DeploymentSpec
from mesh.errors import ConfigError
from mesh.target import load_target


@dataclass(frozen=True, slots=True)
class StoredDeployment:
    """One deployment of an application, with its own blobs, as found in a mesh at one moment."""

    application: ApplicationSpec
    spec: DeploymentSpec
    blobs: Mapping[str, bytes]

    @property
    def is_driver(self) -> bool:
        """It answers for its application."""
        return self.spec.name == self.application.driver

    def load_target(self) -> Callable[..., Any]:
        """The user's class or function. Raises :class:`mesh.errors.ConfigError` when it cannot be imported here."""
        try:
            return load_target(self.spec.import_path, self.blobs.get(self.spec.target_blob, b""))
        except Exception as error:
            raise self._not_here(f"code ({self.spec.import_path or 'a pickle'})", error) from error

    def load_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What its constructor got. Raises :class:`mesh.errors.ConfigError` when that cannot be loaded here."""
        if not self.spec.init_blob:
            return (), {}
        try:
            args, kwargs = cloudpickle.loads(self.blobs[self.spec.init_blob])
        except Exception as error:
            raise self._not_here("constructor arguments", error) from error
        return args, kwargs

    def _not_here(self, what: str, error: Exception) -> ConfigError:
        return ConfigError(
            f"the {what} of deployment {self.spec.name!r} cannot be loaded in this process: "
            f"{type(error).__name__}: {error}; deploy() without arguments needs it not"
        )
