"""From ``module:node`` as people write it to the node, or to an error that says what would be right.

Importing the module, and calling the function that builds the node where it is one, runs the user's code; nothing is
deployed here.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mesh.cli.builder import call_builder, is_builder
from mesh.cli.user_traceback import user_traceback
from mesh.dag import DeploymentNode, InputNode
from mesh.errors import ConfigError, UserCodeError


def load_node(import_path: str, app_dir: Path, args: Mapping[str, Any] | None = None) -> DeploymentNode:
    """The node that ``import_path`` names, as "module:node" or "module.node", with ``app_dir`` importable.

    It may also name a function that builds the node, from ``args`` if it takes some.

    ``app_dir`` comes last in ``sys.path``, so that a file in it called like a module of Python's or of ours breaks
    neither; asking for such a file is an error.
    """
    module_name, attribute = split_import_path(import_path)
    directory = str(app_dir.resolve())
    if directory not in sys.path:
        sys.path.append(directory)
    importlib.invalidate_caches()
    return _node_in(_import_module(module_name, app_dir), attribute, args or {})


def split_import_path(import_path: str) -> tuple[str, str]:
    """Module and attribute, both not empty.

    >>> split_import_path("shop.prices:graph")
    ('shop.prices', 'graph')
    >>> split_import_path("shop.prices.graph")
    ('shop.prices', 'graph')
    """
    if import_path.endswith((".yaml", ".yml")):
        raise ConfigError(f"{import_path!r} is a config file; an import path, module:node, is needed here")
    if ":" in import_path:
        module_name, _, attribute = import_path.partition(":")
    else:
        module_name, _, attribute = import_path.rpartition(".")
    if "/" in module_name or os.sep in module_name or module_name.endswith(".py") or attribute == "py":
        raise ConfigError(_file_not_module(import_path))
    parts = [*module_name.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{import_path!r} is not an import path; write module:node, as in shop.prices:graph")
    return module_name, attribute


def _file_not_module(import_path: str) -> str:
    file, _, attribute = import_path.partition(":")
    module_name = file.removesuffix(".py").removeprefix("./").strip("/").replace("/", ".")
    return f"{import_path!r} names a file; name the module instead: {module_name}:{attribute or 'node'}"


def _import_module(name: str, app_dir: Path) -> ModuleType:
    _refuse_hidden_file(name.partition(".")[0], app_dir)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(_no_such_module(name, error.name, app_dir)) from None
        raise _raised_at_import(name, error) from None
    except (Exception, SystemExit) as error:
        raise _raised_at_import(name, error) from None


def _refuse_hidden_file(top: str, app_dir: Path) -> None:
    wanted = next((path for path in (app_dir / f"{top}.py", app_dir / top / "__init__.py") if path.is_file()), None)
    if wanted is None:
        return
    spec = None if top == "__main__" else find_spec(top)
    if spec is None or (spec.origin is not None and Path(spec.origin).resolve() == wanted.resolve()):
        return
    raise ConfigError(
        f"{wanted} cannot be imported as {top!r}: that name belongs to {spec.origin or 'another module'}; "
        "give your file another name"
    )


def _no_such_module(name: str, missing: str, app_dir: Path) -> str:
    there = sorted({path.stem for path in app_dir.glob("*.py")} | {path.parent.name for path in app_dir.glob("*/*.py")})
    near = difflib.get_close_matches(name, there, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; --app-dir names another folder to look in"
    return f"there is no module {missing!r} in {app_dir.resolve()} or among the installed packages{hint}"


def _raised_at_import(name: str, error: BaseException) -> UserCodeError:
    text = user_traceback(error)
    return UserCodeError(f"importing {name!r} failed:\n\n{text}", remote_traceback=text)


def _node_in(module: ModuleType, attribute: str, args: Mapping[str, Any]) -> DeploymentNode:
    value: object = module
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise ConfigError(_no_such_attribute(module, attribute)) from None
    import_path = f"{module.__name__}:{attribute}"
    if is_builder(value):
        return call_builder(value, import_path, args)
    if args:
        raise ConfigError(f"{import_path} takes no arguments ({', '.join(args)}): it is no function that builds a node")
    if isinstance(value, DeploymentNode):
        return value
    raise ConfigError(f"{import_path} is not a node: {_what_it_is(value, attribute)}")


def _no_such_attribute(module: ModuleType, attribute: str) -> str:
    nodes = sorted(name for name, value in vars(module).items() if isinstance(value, DeploymentNode))
    found = f"its nodes are {', '.join(nodes)}" if nodes else "it has no nodes; make one with .bind(...)"
    return f"the module {module.__name__!r} ({module.__file__}) has no attribute {attribute!r}; {found}"


def _what_it_is(value: object, attribute: str) -> str:
    from mesh.dag.nodes import UnboundMethod
    from mesh.deployments import Deployment

    if isinstance(value, Deployment):
        return f"it is the deployment {value.name!r}; bind it first: node = {attribute}.bind(...)"
    if isinstance(value, InputNode):
        return "it is the input of a graph; name the output of the graph, bound to a DAGDriver"
    if isinstance(value, UnboundMethod):
        return "it is a method of a node without its arguments; .bind(...) on it makes a node"
    if isinstance(value, type) or callable(value):
        return (
            f"it is {'a class' if isinstance(value, type) else 'a callable'} without @mesh.deployment; "
            "decorate it and bind it (a function that builds a node takes nothing, a dict or a pydantic model)"
        )
    return f"it is a value of type {type(value).__name__}; a node is what .bind(...) returns"
