"""What a program may import, and what the documentation therefore has to tell of."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final

from mesh.deployments import Deployment

MODULES: Final = ("mesh", "mesh.dag", "mesh.drivers", "mesh.http_adapters", "mesh.errors", "mesh.testing")

_ADAPTERS: Final = (
    "NdArray",
    "image_to_ndarray",
    "json_request",
    "json_to_multi_ndarray",
    "json_to_ndarray",
    "pandas_read_json",
    "starlette_request",
)
_OTHERWISE: Final = {
    "mesh.drivers.DAGDriver": "mesh.drivers._DAGDriver",  # its class stands there, the deployment has its name
    "mesh.drivers.DriverDeployment": "mesh.drivers.DriverDeployment.bind",  # what is its own
}


def public_names() -> dict[str, Any]:
    """Every public name, as the pages of the API have it, and what it means."""
    return {_place_of(name, value): value for name, value in _names()}


def without_docstring() -> list[str]:
    """The public names, and the methods and properties of public classes, that say nothing of themselves."""
    return [name for name, value in _documented() if not _says_something(value)]


def _place_of(name: str, value: Any) -> str:
    if getattr(value, "__module__", "") == "mesh.errors":
        return f"mesh.errors.{value.__name__}"
    return _OTHERWISE.get(name, name)


def _names() -> Iterator[tuple[str, Any]]:
    for name in MODULES:
        module = importlib.import_module(name)
        for attribute in _public(module):
            yield f"{name}.{attribute}", getattr(module, attribute)


def _public(module: Any) -> list[str]:
    if module.__name__ == "mesh.http_adapters":
        return list(_ADAPTERS)
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
    ]


def _documented() -> Iterator[tuple[str, Any]]:
    for name, value in _names():
        yield name, value
        described = value.target if isinstance(value, Deployment) else value
        if inspect.isclass(described):
            for attribute, member in vars(described).items():
                is_code = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
                if is_code and (attribute == "__call__" or not attribute.startswith("_")):
                    yield f"{name}.{attribute}", member


def _says_something(value: Any) -> bool:
    text = (value.__doc__ or "").strip()
    made_by_dataclass = inspect.isclass(value) and text.startswith(f"{value.__name__}(")
    return bool(text) and not made_by_dataclass
