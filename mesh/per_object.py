"""A decorated function of which each object that has it as a method, and each replica, has a state of its own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from mesh.context import Surroundings, surroundings

B = TypeVar("B")


class PerObject(Generic[B]):
    """A function or, in a class, a method. ``bind(function)`` makes what is called for one object, or in one replica.

    What it made stays with the object, or with the replica.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __init__(self, decorator: str, function: Callable[..., Any]) -> None:
        if not inspect.isroutine(function):
            raise TypeError(f"@{decorator} goes on a function or a method, not on {function!r}")
        functools.update_wrapper(self, function)
        self._is_method = False
        self._by_replica: WeakKeyDictionary[Surroundings, B] = WeakKeyDictionary()
        self._elsewhere: B | None = None

    def _bind(self, function: Callable[..., Any]) -> B:
        raise NotImplementedError

    def __set_name__(self, owner: type, name: str) -> None:
        self._is_method = True

    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        key = f"__mesh_{self.__qualname__}"  # a method that it overrides has a state of its own
        if not hasattr(instance, "__dict__"):
            raise TypeError(f"{self.__qualname__} needs an object that takes attributes: its class has __slots__")
        kept: _Kept[B] | None = instance.__dict__.get(key)
        if kept is None or kept.owner is not instance:  # a copy of an object begins anew
            bound = self._bind(self.__wrapped__.__get__(instance))
            kept = instance.__dict__[key] = _Kept(instance, bound)
        return kept.bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, or through the class the method of an object."""
        if self._is_method:
            return self.__get__(args[0])(*args[1:], **kwargs)
        called: Any = self.here()
        return called(*args, **kwargs)

    def here(self) -> B:
        """What a function that is no method is in the replica that calls it."""
        around = surroundings()
        bound = self._elsewhere if around is None else self._by_replica.get(around)
        if bound is None:
            bound = self._bind(self.__wrapped__)
            if around is None:
                self._elsewhere = bound
            else:
                self._by_replica[around] = bound
        return bound


class _Kept(Generic[B]):
    """What an object keeps; in the pickle of that object it is nothing, because it belongs to this process."""

    def __init__(self, owner: object, bound: B) -> None:
        self.owner = owner
        self.bound = bound

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


def _nothing() -> None:
    return None
