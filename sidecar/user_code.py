"""The one object that owns the user's class or function: finds it, builds it, says how its methods run, lets it go.

The user's code is imported, unpickled and constructed here and nowhere else, on the replica's turn.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import cloudpickle
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from mesh.asgi import open_application
from mesh.config import DeploymentSpec, Method, MethodKind, Runtime
from mesh.target import load_target


class ConstructionFailed(Exception):
    """The user's object could not be built; ``traceback`` is the user's, as text."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.traceback = users_traceback(error)


def users_traceback(error: BaseException) -> str:
    """The traceback of an exception of the user's code, from where it is the user's."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


@dataclass(frozen=True, slots=True)
class BoundMethod:
    """A method of the built object, ready to be called.

    ``wants_request``: it is ``__call__`` and takes exactly one argument that has no default, in HTTP the request.
    """

    function: Callable[..., Any]
    kind: MethodKind
    without_parameters: bool
    takes_websocket: bool = False
    takes_only_websocket: bool = False
    wants_request: bool = False
    is_gathered: bool = False
    """Its calls wait for each other, to be one batch."""

    @property
    def runs_on_loop(self) -> bool:
        """It is a coroutine function; anything else runs on a turn."""
        return self.kind in (MethodKind.ASYNC_DEF, MethodKind.ASYNC_GENERATOR)


class UserCode:
    """The user's object of one replica. ``build`` comes first, once, on the turn.

    ``read_blob`` gives the blob of a SHA-256. ``own_application`` makes the application of an ingress one of this
    replica alone, where the process has several: a process of its own has imported or unpickled its own.
    """

    def __init__(
        self,
        spec: DeploymentSpec,
        read_blob: Callable[[str], bytes],
        own_application: Callable[[Any], Any] = lambda application: application,
    ) -> None:
        self._spec = spec
        self._read_blob = read_blob
        self._own_application = own_application
        self._methods: dict[str, BoundMethod] = {}
        self.application: ASGIApp | None = None
        """The ASGI application of an object with an ingress."""
        self.application_state: dict[str, Any] = {}

    def build(self) -> None:
        """Find the target and construct it. Raises :class:`ConstructionFailed` with the user's traceback."""
        try:
            target = load_target(self._spec.import_path, self._blob(self._spec.target_blob))
            args, kwargs = cloudpickle.loads(self._blob(self._spec.init_blob)) if self._spec.init_blob else ((), {})
            built = target(*args, **kwargs) if inspect.isclass(target) else target
            self.application = open_application(built, self.application_state, self._own_application)
        except BaseException as error:
            raise ConstructionFailed(error) from error
        self._methods = {method.name: _bind(built, method) for method in self._spec.methods}

    def _blob(self, sha256: str) -> bytes:
        return self._read_blob(sha256) if sha256 else b""

    def method(self, name: str) -> BoundMethod | None:
        """The method of that name; None when there is none that can be called from outside."""
        return self._methods.get(name)

    @property
    def method_names(self) -> Iterable[str]:
        """The methods that can be called from outside."""
        return self._methods.keys()

    def close(self) -> None:
        """Let the user's object go, and with it run its ``__del__`` if it has one."""
        self._methods = {}
        self.application = None


def _bind(built: Any, method: Method) -> BoundMethod:
    is_plain_function = method.name == "__call__" and not hasattr(type(built), "__self__") and inspect.isroutine(built)
    function = built if is_plain_function or hasattr(built, "__mesh_gathered__") else getattr(built, method.name)
    takes = _connections_taken(function) if method.name == "__call__" and method.kind is MethodKind.ASYNC_DEF else set()
    wants_request = method.name == "__call__" and _required_parameters(function) == 1
    kind = method.kind
    gathered = getattr(function, "__mesh_gathered__", None)
    if gathered is not None:
        # Calls of a batched method are gathered on the loop, also those of a `def`, whose batch then has the turn.
        function, kind = gathered(), MethodKind.ASYNC_GENERATOR if kind.yields else MethodKind.ASYNC_DEF
    return BoundMethod(
        function,
        kind,
        method.without_parameters,
        WebSocket in takes,
        takes == {WebSocket},
        wants_request,
        gathered is not None,
    )


def _connections_taken(function: Callable[..., Any]) -> set[type]:
    """What the annotation of the first parameter says that may be passed: a Request, a WebSocket, or either."""
    try:
        first = next(iter(inspect.signature(function).parameters), "")
        annotation = get_type_hints(function).get(first)
    except Exception:  # an annotation that cannot be looked up, or a callable of C: taken as none
        return set()
    kinds = [k for k in get_args(annotation) or (annotation,) if isinstance(k, type) and issubclass(k, HTTPConnection)]
    return {taken for taken in (Request, WebSocket) if any(issubclass(taken, kind) for kind in kinds)}


def _required_parameters(function: Callable[..., Any]) -> int | None:
    """How many arguments a call by position has to give; None when nobody can tell, or when names are asked for."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    required = [one for one in parameters if one.default is one.empty and one.kind not in _ANY_NUMBER]
    return None if any(one.kind is one.KEYWORD_ONLY for one in required) else len(required)


_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def enter_runtime(runtime: Runtime) -> None:
    """Make the user's modules importable as they were where the deployment was made.

    The standard library stays in front, so a user's ``types.py`` or ``queue.py`` cannot take its place under us.
    """
    if os.path.isdir(runtime.working_directory):
        os.chdir(runtime.working_directory)
    standard = os.path.dirname(os.__file__)  # sysconfig would import a megabyte of settings into each replica
    front = [path for path in sys.path if path == standard or os.path.basename(path) == "lib-dynload"]
    user = [path or runtime.working_directory for path in runtime.sys_path]
    sys.path[:] = list(dict.fromkeys([*front, *user, *sys.path]))


def _is_ours(filename: str) -> bool:
    return (
        os.path.dirname(os.path.abspath(filename)) in _OUR_FOLDERS
        or filename == cloudpickle.__file__
        or (filename.startswith("<frozen importlib"))
    )


_OUR_FOLDERS = {
    os.path.dirname(os.path.abspath(__file__)),
    os.path.dirname(os.path.abspath(sys.modules["mesh"].__file__ or "")),
}
