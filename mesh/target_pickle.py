"""Pickling a target by value, with all that it holds; and which part of it is to blame when that cannot be."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from typing import Any

import cloudpickle

from mesh.errors import PayloadError

_LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
_DEEPEST = 12
_IN_THE_REPLICA = (
    "make it in the replica: mesh.ingress(function) with a function that returns it, or mesh.ingress(lambda self: "
    "self.app) when __init__ makes it"
)


def pickle_target(target: Any) -> bytes:
    """The bytes of a class or a function by value. Raises :class:`mesh.errors.PayloadError` naming what cannot be."""
    try:
        return _dumps(target)
    except Exception as error:
        raise PayloadError(_explain(target, error)) from error


def copy_application(application: Any) -> Any:
    """Another one like it, as a replica in a process of its own would have.

    Raises :class:`mesh.errors.PayloadError` naming the part that cannot be copied.
    """
    try:
        return cloudpickle.loads(_dumps(application))
    except Exception as error:
        path, culprit = _culprit(application, "app")
        raise PayloadError(
            f"in one process each replica has a copy of its application, and {path} is a {_kind(culprit)}, which "
            f"cannot be copied ({error}). {_IN_THE_REPLICA[0].upper()}{_IN_THE_REPLICA[1:]}"
        ) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # untyped
    """cloudpickle, with what applications hold that it cannot do: locks, which arrive free, and Starlette's State."""

    def reducer_override(self, value: Any) -> Any:
        if _is_state(value):
            return type(value), (), {"_state": value._state}
        make = _LOCKS.get(type(value))
        return super().reducer_override(value) if make is None else (make, ())


def _is_state(value: Any) -> bool:
    starlette = sys.modules.get("starlette.datastructures")  # who has not imported it has none
    return starlette is not None and type(value) is starlette.State


def _dumps(value: Any) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file).dump(value)
        return file.getvalue()


def _explain(target: Any, error: Exception) -> str:
    name = target.__qualname__
    ingress = vars(target).get("__mesh_ingress__") if isinstance(target, type) else None
    if ingress is None or _can_be_pickled(ingress.application):
        return f"{name} cannot be sent to a replica, because it cannot be pickled: {error}"
    path, culprit = _culprit(ingress.application, "app")
    return (
        f"{name} cannot be sent to a replica: {path} of its ingress is a {_kind(culprit)}, which cannot be pickled "
        f"({error}). Either put the application into a module that replicas can import and write "
        f'mesh.ingress("module:app"), or {_IN_THE_REPLICA}'
    )


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _culprit(value: Any, path: str) -> tuple[str, Any]:
    """The smallest part that cannot be pickled, and the way to it."""
    for _ in range(_DEEPEST):
        for step, part in _parts(value):
            if not _can_be_pickled(part):
                path, value = path + step, part
                break
        else:
            break
    return path, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, list | tuple | set):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif _is_state(value):
        yield from ((f".{name}", part) for name, part in value._state.items())  # as it is written: app.state.name
    else:
        yield from ((f".{name}", part) for name, part in getattr(value, "__dict__", {}).items())


def _can_be_pickled(value: Any) -> bool:
    try:
        _dumps(value)
    except Exception:
        return False
    return True
