"""Docstrings as the site shows them: names such as ``:func:`start``` become links, and doctests blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import Extension, Module, NameResolutionError, Object

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|exc):`([\w.]+)`")


_DOCTEST = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


class DocstringRoles(Extension):
    """A role becomes a link to where the site tells of the name, and plain code where it does not."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Called when a package has been read."""
        for obj in _objects_of(pkg):
            if obj.docstring is not None:
                obj.docstring.value = _as_markdown(obj.docstring.value, obj)


def _objects_of(obj: Object) -> Iterator[Object]:
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from _objects_of(member)  # type: ignore[arg-type] # no alias, so an object


def _as_markdown(text: str, obj: Object) -> str:
    text = _ROLE.sub(lambda found: _link(found[1], obj), text)
    return _DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", text).replace("<BLANKLINE>\n", "\n")


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
