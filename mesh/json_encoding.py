"""Python values as JSON: what a deployment returns over HTTP when it is neither text, nor bytes, nor a Response.

numpy and pandas are recognised by the module that a type comes from, so neither is imported here.
"""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Callable, Mapping, MappingView, Set
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any
from uuid import UUID

from mesh.errors import PayloadError
from mesh.payload import Attachable, AttachableItems, misplaced_stream


class NotReady(Exception):
    """The value mentions ``ref``, a call that has not ended, or not well: await it, then encode the value again."""

    def __init__(self, ref: Any) -> None:
        super().__init__(str(ref))
        self.ref = ref


def encode_json(value: object) -> bytes:
    """``value`` as compact JSON in UTF-8.

    Beside what ``json`` knows: numpy arrays and scalars, pandas frames (a list of records) and series (a list),
    pydantic models, dataclasses, enums, sets, dates (ISO 8601), time spans (seconds), decimals, UUIDs and
    paths (text), and bytes that are UTF-8. NaN and the infinities, which JSON does not have, become null. A ref to a
    call that has ended stands for its result.

    Raises :class:`mesh.errors.PayloadError` for what has no form in JSON, :class:`NotReady` for any other ref.

    >>> encode_json({"labels": {"a"}, "score": float("nan")})
    b'{"labels":["a"],"score":null}'
    """
    try:
        try:
            text = _dumps(value)
        except (TypeError, ValueError):
            text = _dumps(_plain(value))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(
            f"the answer, a value of {_name_of(type(value))}, cannot be turned into JSON: {error}. "
            "Return str, bytes, a starlette Response, or what JSON can hold."
        ) from error


def _plain(value: object) -> object:
    """The same value for the second try: keys that are text, null for NaN, nothing but what ``json`` knows."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): _plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return _plain(_simpler(value))


def _key(key: object) -> str | int | float | bool | None:
    if key is None or isinstance(key, str | int | float):
        return key
    simple = None if isinstance(key, tuple) else _simpler(key)
    if not isinstance(simple, str | int | float):
        raise TypeError(f"{_name_of(type(key))} cannot be a key in JSON")
    return simple


def _simpler(value: Any) -> object:
    """One step towards what ``json`` knows; the result may need another."""
    kind = type(value)
    for family, simplify in _FAMILIES:
        if isinstance(value, family):
            return simplify(value)
    package = kind.__module__.partition(".")[0]
    if package == "numpy":
        return value.tolist()
    if package == "pandas":
        return value.to_dict(orient="records") if hasattr(value, "columns") else value.tolist()
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump(mode="json")
    if isinstance(value, AttachableItems):
        raise misplaced_stream()
    if isinstance(value, Attachable):
        return _result_of(value)
    raise TypeError(f"{_name_of(kind)} has no form in JSON")


def _result_of(ref: Any) -> object:
    if not ref.done():
        raise NotReady(ref)
    try:
        return ref.result()
    except BaseException:
        raise NotReady(ref) from None  # who awaits it gets the error as it was raised


def _name_of(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


_FAMILIES: tuple[tuple[type | tuple[type, ...], Callable[[Any], object]], ...] = (
    (Enum, lambda value: value.value),
    ((bytes, bytearray), lambda value: value.decode()),
    (Mapping, dict),
    ((Set, MappingView, deque), list),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    ((Decimal, UUID, PurePath), str),
)

_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_simpler).encode
