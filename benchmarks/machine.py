"""What the figures were measured with: versions, and how busy the machine was."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("mesh", "grpcio", "protobuf", "uvloop", "uvicorn", "httptools", "starlette", "numpy")


def facts() -> dict[str, Any]:
    """Facts about the machine that do not say whose it is."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
    }


def load_average() -> float:
    """Processes that wanted a CPU, on average over the last minute: above the CPUs of the machine it was busy."""
    return os.getloadavg()[0]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
