"""Docstrings name things as ``:func:`start```, which editors and pydoc show well; on the site these become links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import Extension, Module, NameResolutionError, Object

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc):`([\w.]+)`")


class DocstringRoles(Extension):
    """Turns roles into links to where the site tells of the name, and into plain code where it does not."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called when a package has been read."""
        for obj in _objects_of(pkg):
            if obj.docstring is not None:
                obj.docstring.value = _ROLE.sub(lambda found: _link(found[1], obj), obj.docstring.value)  # noqa: B023


def _objects_of(obj: Object) -> Iterator[Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects_of(member)  # type: ignore[arg-type] # no alias, so an object


def _link(name: str, obj: Object) -> str:
    short = name.rpartition(".")[2]
    return f'<autoref optional identifier="{_path_of(name, obj)}"><code>{short}</code></autoref>'


def _path_of(name: str, obj: Object) -> str:
    if name.startswith("mesh."):
        return name
    scope = obj if obj.is_class else obj.parent
    if scope is not None and scope.is_class and name in scope.members:
        return f"{scope.path}.{name}"
    try:
        return obj.module.resolve(name)
    except NameResolutionError:
        return name
