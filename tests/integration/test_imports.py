"""What each process imports, in a fresh interpreter: no more than it needs, and nothing that it must not touch.

In a running mesh all processes but the owner are forks of the engine, which has imported the union of what they need;
these tests say what each of them would import by itself, and so what its code depends on.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from mesh.engine.engine import PRELOADED, PRELOADED_FOR_CONTROLLER

WEB = {"starlette", "uvicorn", "httptools", "anyio"}
CONFIG_FILES = {"pydantic", "yaml"}
COMMAND_LINE = {"typer", "rich", "mesh.cli"}
USER_CODE = {"cloudpickle", "mesh.target", "mesh.handle", "mesh.response", "mesh.dag", "mesh.drivers", "sidecar"}
OTHER = {"numpy", "pandas", "pydot", "psutil", "pytest", "importlib.metadata", "mesh.testing"}

BIND = """
import mesh
from mesh.dag import InputNode
@mesh.deployment(num_replicas=2)
class Adder:
    def __init__(self, first): pass
    def add(self, number): return number
@mesh.deployment
def double(number): return 2 * number
with InputNode() as number:
    node = double.bind(Adder.bind(Adder.bind(1)).add.bind(number))
"""
DRAW = f"{BIND}\nfrom mesh.dag import to_dot\nassert 'double' in to_dot(node).to_string()\n"


def imported_by(code: str) -> set[str]:
    """The modules, with their packages, that a fresh interpreter has imported after ``code``."""
    printing = f"{code}\nimport sys\nprint(*sorted(sys.modules), file=sys.__stdout__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", printing], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("code", "forbidden"),
    [
        pytest.param(
            "import mesh",
            WEB | CONFIG_FILES | COMMAND_LINE | USER_CODE | OTHER | {"grpc", "google", "asyncio", "mesh.api"},
            id="import mesh",
        ),
        pytest.param(
            BIND,
            WEB | CONFIG_FILES | COMMAND_LINE | OTHER | {"grpc", "asyncio", "mesh.handle", "mesh.connect"},
            id="a script that binds",
        ),
        pytest.param(
            DRAW, WEB | CONFIG_FILES | COMMAND_LINE | {"grpc", "numpy", "mesh.handle"}, id="a script that draws"
        ),
        pytest.param(
            f"{BIND}\nmesh.run, mesh.start",
            WEB | CONFIG_FILES | COMMAND_LINE | OTHER | {"grpc", "asyncio", "mesh.handle", "mesh.connect"},
            id="a script about to run what it bound: the engine comes first",
        ),
        pytest.param(
            f"{BIND}\nmesh.run\nimport mesh.deploying, mesh.engine.owner",
            CONFIG_FILES
            | COMMAND_LINE
            | OTHER
            | {"uvicorn", "httptools", "sqlite3", "sidecar", "http_bridge", "mesh.controller", "mesh.door"},
            id="a script that runs: the owner",
        ),
        pytest.param(
            "import mesh.engine.engine",
            WEB | CONFIG_FILES | COMMAND_LINE | USER_CODE | OTHER | {"grpc", "asyncio", "subprocess", "mesh.connect"},
            id="engine, before it imports for others",
        ),
        pytest.param(
            "import mesh.controller.__main__",
            WEB | CONFIG_FILES | COMMAND_LINE | USER_CODE | OTHER | {"http_bridge", "mesh.payload", "mesh.connect"},
            id="controller",
        ),
        pytest.param(
            "import http_bridge.__main__",
            CONFIG_FILES | COMMAND_LINE | USER_CODE | OTHER | {"sqlite3", "mesh.controller", "mesh.door", "mesh.api"},
            id="bridge",
        ),
        pytest.param(
            "import mesh.door.__main__",
            WEB | CONFIG_FILES | COMMAND_LINE | USER_CODE | OTHER | {"sqlite3", "http_bridge", "mesh.controller"},
            id="door",
        ),
        pytest.param(
            "import sidecar.__main__",
            CONFIG_FILES
            | COMMAND_LINE
            | OTHER
            | {
                "uvicorn",
                "httptools",
                "sqlite3",
                "sysconfig",
                "http_bridge",
                "mesh.controller",
                "mesh.door",
                "mesh.api",
            },
            id="replica",
        ),
        pytest.param(
            "from mesh.cli.commands import app\napp(['--help'], standalone_mode=False)",
            WEB | CONFIG_FILES | USER_CODE | OTHER | {"rich", "grpc", "google", "asyncio", "mesh.api", "mesh.cli.run"},
            id="meshctl --help",
        ),
    ],
)
def test_a_process_imports_only_what_it_needs(code: str, forbidden: set[str]) -> None:
    assert not imported_by(code) & forbidden


def test_forks_import_nothing_more() -> None:
    """All that a role imports, the engine has imported before it forks: forks share it, and start at once."""
    roles = ("sidecar.__main__", "http_bridge.__main__", "mesh.door.__main__", "mesh.controller.__main__")
    engine = imported_by(_importing("mesh.engine.engine", *PRELOADED_FOR_CONTROLLER, *PRELOADED))
    for role in roles:
        assert not imported_by(_importing("mesh.engine.child", role)) - engine
    first = imported_by(_importing("mesh.engine.engine", *PRELOADED_FOR_CONTROLLER))
    assert not imported_by(_importing("mesh.engine.child", "mesh.controller.__main__")) - first
    assert not first & (WEB | USER_CODE)
    assert not engine & (CONFIG_FILES | COMMAND_LINE | {"numpy", "mesh.api", "mesh.used_mesh"})


def _importing(*modules: str) -> str:
    return "\n".join(f"import {module}" for module in modules)


HIDE = """
import os, select, socket, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "termios", "uvloop", "httptools"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
for name in ("fork", "getuid", "pidfd_open", "register_at_fork", "waitid"):
    delattr(os, name)
del select.epoll, select.poll, socket.AF_UNIX
"""
"""What only Linux has, taken away: as far as the imports of mesh can tell, this is Windows."""


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(BIND, id="bind"),
        pytest.param(DRAW, id="draw"),
        pytest.param("import mesh\nmesh.DeploymentHandle, mesh.run, mesh.status", id="every public name"),
        pytest.param(f"{BIND}\nfrom mesh.drivers import DAGDriver\nDAGDriver.bind(node)", id="a driver"),
    ],
)
def test_without_what_only_linux_has(code: str) -> None:
    assert not imported_by(HIDE + code) & {"fcntl", "uvloop"}


def test_run_without_what_only_linux_has_says_what_to_do() -> None:
    code = f"{HIDE}{BIND}\ntry:\n    mesh.run(node)\nexcept mesh.MeshUnavailable as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == (
        "a mesh needs Linux, and this system has no fcntl: on Windows, use WSL; "
        "binding and drawing graphs work everywhere\n"
    )
