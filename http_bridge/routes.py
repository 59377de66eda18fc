"""Which deployment answers for a path: the longest route prefix wins, by whole segments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Route(Protocol):
    """A path prefix and the deployment behind it, as ``mesh.v1.Route`` has them."""

    @property
    def prefix(self) -> str: ...

    @property
    def application(self) -> str: ...

    @property
    def deployment(self) -> str: ...


class Match(NamedTuple):
    """A route and the part of the path that it takes: ``""`` for the route at ``/``."""

    route: Route
    taken: str


class Routes:
    """A full set of routes; another set is another object.

    ``/hello`` answers for ``/hello``, ``/hello/`` and ``/hello/x``, never for ``/hellox``.
    """

    __slots__ = ("_by_prefix", "_deepest", "_root")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_prefix = {route.prefix: route for route in routes}
        self._root = self._by_prefix.get("/")
        self._deepest = max((prefix.count("/") for prefix in self._by_prefix if prefix != "/"), default=0)

    def match(self, path: str) -> Match | None:
        """The route for ``path``, in at most as many steps as the longest prefix has segments."""
        prefix = path
        if self._deepest and prefix.count("/") > self._deepest:
            prefix = "/".join(path.split("/", self._deepest + 1)[: self._deepest + 1])
        while self._deepest and prefix:
            route = self._by_prefix.get(prefix)
            if route is not None and prefix != "/":
                return Match(route, prefix)
            prefix = prefix[: prefix.rfind("/")] if "/" in prefix else ""
        return None if self._root is None else Match(self._root, "")

    def table(self) -> dict[str, str]:
        """The name of the deployment behind each prefix, in the order of the prefixes."""
        return {prefix: self._by_prefix[prefix].deployment for prefix in sorted(self._by_prefix)}
