"""From the text of a config file to its content, or to an error that names line, key, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from mesh.config_files.schema import ConfigFile
from mesh.errors import ConfigError

Place = tuple[str | int, ...]
"""Keys and indices that lead from the top of a file to something in it."""


Mistake = tuple[Place, str]
"""Where something is wrong, and what."""


class Lines:
    """Where the keys of a YAML document are."""

    def __init__(self, root: yaml.Node | None, name: str) -> None:
        self._root = root
        self._name = name

    def line(self, place: Place) -> int:
        """The line of a place, from 1, or of the nearest thing around it that is there."""
        node, line = self._root, 1
        for part in place:
            key, value = _step(node, part)
            if value is None:
                break
            line = (key or value).start_mark.line + 1
            node = value
        return line

    def at(self, place: Place) -> str:
        """File, line and keys of a place, as errors begin: "file:line: path.to.key"."""
        line = self.line(place)
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        return f"{self._name}:{line}: {path}" if path else f"{self._name}:{line}"


def read_config(text: str, name: str) -> tuple[ConfigFile, Lines]:
    """The content of a config file; ``name`` is how errors call it.

    Raises :class:`mesh.errors.ConfigError` with every mistake that there is, each with its line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: this is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name}: this is not YAML: {error}") from None
    lines = Lines(root, name)
    if not isinstance(content, dict):
        raise ConfigError(f"{name}:1: a config file is a mapping with the key applications, not {content!r}")
    config, mistakes = _checked(root, content)
    if config is None or mistakes:
        mistakes.sort(key=lambda mistake: lines.line(mistake[0]))
        raise ConfigError("\n".join(f"{lines.at(place)}: {what}" for place, what in mistakes))
    return config, lines


def read_config_file(path: Path) -> tuple[ConfigFile, Lines]:
    """:func:`read_config` of a file."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config file {path}: {error}") from None
    return read_config(text, str(path))


def _checked(root: yaml.Node | None, content: dict[Any, Any]) -> tuple[ConfigFile | None, list[Mistake]]:
    if twice := [(place, "this key is there already") for place in _twice(root)]:
        return None, twice
    try:
        config = ConfigFile.model_validate(content)
    except ValidationError as error:
        return None, [_told(one) for one in error.errors()]
    return config, list(_contradictions(config))


def _contradictions(config: ConfigFile) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    routes: dict[str, int] = {}
    for number, application in enumerate(config.applications):
        if (first := names.setdefault(application.name, number)) != number:
            yield ("applications", number, "name"), f"applications[{first}] is called {application.name!r} already"
        prefix = application.route_prefix
        if prefix is not None and (first := routes.setdefault(prefix, number)) != number:
            other = config.applications[first].name
            yield (
                ("applications", number, "route_prefix"),
                f"{prefix!r} is the route prefix of application {other!r} already; give one of them another, or null",
            )
        deployments: set[str] = set()
        for index, deployment in enumerate(application.deployments):
            if deployment.name in deployments:
                yield ("applications", number, "deployments", index, "name"), f"{deployment.name!r} is there already"
            deployments.add(deployment.name)


def _told(error: Any) -> Mistake:
    place: Place = tuple(part for part in error["loc"] if part not in _NO_KEYS)
    if error["type"] == "extra_forbidden":
        allowed = _allowed(place[:-1])
        near = difflib.get_close_matches(str(place[-1]), allowed, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}? " if near else ""
        return place, f"there is no such key; {hint}allowed here: {', '.join(allowed)}"
    if error["type"] == "missing":
        return place, "this key is missing"
    if error["type"] == "value_error":
        return place, str(error["ctx"]["error"])
    return place, f"{error['msg']}, not {error['input']!r}"


_NO_KEYS = ("HTTPOptions", "GRPCOptions")
"""Parts of a place that pydantic adds where a value has one of several types."""


def _allowed(place: Place) -> list[str]:
    """The keys that a place of the file may have."""
    model: type[BaseModel] = ConfigFile
    for part in place:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _step(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    """The key and the value that ``part`` leads to."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), (None, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def _twice(node: yaml.Node | None, place: Place = ()) -> Iterator[Place]:
    """Keys that a mapping has twice, of which YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*place, key.value)
            seen.add(key.value)
            yield from _twice(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _twice(value, (*place, number))
