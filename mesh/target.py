"""A target, the user's class or function: how it goes on the wire and what can be called on it.

A target that a replica can import travels as "module:qualname" with the hash of its source file, any other as a
pickle. Whether it changed is told by these alone, and "cannot tell" counts as changed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from mesh.config import Method, MethodKind
from mesh.target_pickle import pickle_target


@dataclass(frozen=True, slots=True)
class EncodedTarget:
    """A target as it goes on the wire: ``import_path`` and ``source_sha256``, or ``blob``."""

    import_path: str = ""
    source_sha256: str = ""
    blob: bytes = b""


def encode_target(target: Callable[..., Any]) -> EncodedTarget:
    """The target by its import path when a fresh interpreter with the same ``sys.path`` finds it there, else pickled.

    Classes and functions of ``__main__``, nested ones, lambdas and what a factory returns are pickled by value.
    """
    module = sys.modules.get(target.__module__ or "")
    if module is None or module.__name__ == "__main__" or module.__name__ in sys.builtin_module_names:
        return EncodedTarget(blob=pickle_target(target))
    source = _source_file(module)
    if source is None:
        with _pickled_by_value(module):
            return EncodedTarget(blob=pickle_target(target))
    if not _leads_to(module, target):
        return EncodedTarget(blob=pickle_target(target))
    return EncodedTarget(f"{module.__name__}:{target.__qualname__}", hashlib.sha256(source.read_bytes()).hexdigest())


def load_target(import_path: str, blob: bytes) -> Callable[..., Any]:
    """The class or function behind what :func:`encode_target` made; exactly one of the two is set.

    Runs the user's code: importing and unpickling raise whatever it raises.
    """
    if import_path:
        module_name, _, qualname = import_path.partition(":")
        target: Callable[..., Any] = _found_at(importlib.import_module(module_name), qualname)
    else:
        target = _bare(cloudpickle.loads(blob))
    return target


def methods_of(target: Callable[..., Any]) -> tuple[Method, ...]:
    """What can be called from outside: ``__call__`` and the public methods of a class, inherited ones included.

    A function has the one method ``__call__``.
    """
    if not isinstance(target, type):
        return (_method("__call__", target, skip_self=False),)
    members: dict[str, object] = {}
    for base in reversed(target.__mro__[:-1]):
        members.update(vars(base))
    return tuple(
        _method(name, function, skip_self=not isinstance(member, staticmethod))
        for name, member in members.items()
        if (name == "__call__" or not name.startswith("_")) and (function := _function(member)) is not None
    )


def _bare(value: Any) -> Any:
    """The target of a deployment, and anything else as it is."""
    return getattr(value, "__mesh_target__", value)


def _found_at(module: ModuleType, qualname: str) -> Any:
    """The target that an import path leads to, out of the deployment that the decorator left in its place."""
    value: Any = module
    for name in qualname.split("."):
        value = getattr(_bare(value), name)
    return _bare(value)


def _leads_to(module: ModuleType, target: Callable[..., Any]) -> bool:
    try:
        return _found_at(module, target.__qualname__) is target
    except AttributeError:
        return False


def _source_file(module: ModuleType) -> Path | None:
    """The file that a fresh interpreter would read for the module; None when it would find another one, or none."""
    spec: ModuleSpec | None = None
    search_path: Sequence[str] | None = None
    parts = module.__name__.split(".")
    for length in range(1, len(parts) + 1):
        spec = _find_spec(".".join(parts[:length]), search_path)
        if spec is None:
            return None
        search_path = spec.submodule_search_locations
    if spec is None or spec.origin is None or spec.origin != getattr(module, "__file__", None):
        return None
    source = Path(spec.origin)
    return source if source.is_file() else None


def _find_spec(name: str, search_path: Sequence[str] | None) -> ModuleSpec | None:
    """As ``importlib.util.find_spec``, which answers from ``sys.modules`` and so for modules that no path leads to."""
    found = (finder.find_spec(name, search_path) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


@contextmanager
def _pickled_by_value(module: ModuleType) -> Iterator[None]:
    """While it lasts, cloudpickle takes along what the module holds, because a replica could not import it."""
    if module.__name__ in cloudpickle.list_registry_pickle_by_value():
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _function(member: object) -> Callable[..., Any] | None:
    """What runs when the member of a class is called as a method; None when it is no method."""
    if isinstance(member, (staticmethod, classmethod)):
        return member.__func__
    if isinstance(member, functools.partialmethod):
        return functools.partial(member.func, *member.args, **member.keywords)
    return member if callable(member) and not isinstance(member, type) else None


def _method(name: str, function: Callable[..., Any], *, skip_self: bool) -> Method:
    return Method(name, _kind(function), _parameters(function) == int(skip_self))


def _kind(function: Callable[..., Any]) -> MethodKind:
    function = getattr(function, "__mesh_batched__", function)  # what @mesh.batch has decorated
    if inspect.isasyncgenfunction(function):
        return MethodKind.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(function):
        return MethodKind.GENERATOR
    if inspect.iscoroutinefunction(function):
        return MethodKind.ASYNC_DEF
    return MethodKind.DEF


def _parameters(function: Callable[..., Any]) -> int | None:
    """How many parameters the function has; None when nobody can tell."""
    try:
        return len(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
