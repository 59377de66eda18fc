"""``user_config``: what ``reconfigure`` is called with, as it travels. It is JSON, so that a file can hold it too."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from mesh.errors import ConfigError


def encode_user_config(value: object) -> str:
    """The JSON of a user_config, the same for equal ones; "" for None, which is no user_config.

    >>> encode_user_config({"threshold": 0.5, "labels": ("cat", "dog")})
    '{"labels": ["cat", "dog"], "threshold": 0.5}'

    Raises :class:`mesh.errors.ConfigError` that names the part which JSON cannot hold.
    """
    if value is None:
        return ""
    _check(value, "user_config", ())
    return json.dumps(value, sort_keys=True)


def decode_user_config(text: str) -> Any:
    """What :func:`encode_user_config` was given, with lists for tuples."""
    return json.loads(text) if text else None


def user_config_key(text: str) -> str:
    """What tells one user_config from another: the SHA-256 of its JSON; "" when there is none."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def _check(value: object, path: str, above: tuple[int, ...]) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"{path} is {value!r}, which JSON cannot hold; give a finite number, a string or None")
        return
    if id(value) in above:
        raise ConfigError(f"{path} contains itself; a user_config is a tree")
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check(item, f"{path}[{number}]", (*above, id(value)))
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ConfigError(f"{path} has the key {key!r}; in JSON keys are strings")
            _check(item, f"{path}[{key!r}]", (*above, id(value)))
    else:
        raise ConfigError(
            f"{path} is of type {type(value).__name__}, which JSON cannot hold: give None, bool, int, float, str, "
            "and lists and dicts of these; other objects are constructor arguments"
        )
