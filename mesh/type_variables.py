"""Type variables of the generic classes. Where a program leaves one out, as in ``DeploymentHandle``, it is Any."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

P = ParamSpec("P")
"""The parameters of a method."""

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # type checkers know it without its being installed

    R = TypeVar("R")
    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True, default=Any)
    R_co = TypeVar("R_co", covariant=True, default=Any)
    D = TypeVar("D", bound=Callable[..., Any], default=Any)
else:
    from typing import TypeVar

    R = TypeVar("R")
    """The result of a call, or one of its items."""
    T = TypeVar("T")
    """What a node is made of, and what the handle of it calls."""
    T_co = TypeVar("T_co", covariant=True)
    """As T, where it is only read: the class that a handle calls, or the signature of a function or a method."""
    R_co = TypeVar("R_co", covariant=True)
    """As R, for what is only read."""
    D = TypeVar("D", bound=Callable[..., Any])
    """What was decorated: a class or a function."""
