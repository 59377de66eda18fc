"""What can be deployed, from where, and with which options: through real processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mesh
from mesh import errors
from tests.e2e.commands import run_python
from tests.e2e.running_mesh import Run, RunningMesh
from tests.services.handles import Echo

SCRIPT = """
import asyncio
import json
import os
from dataclasses import dataclass

import mesh

FACTOR = 3


class Own(Exception):
    def __init__(self, code):
        super().__init__(f"own {code}")
        self.code = code


@dataclass
class Point:
    x: int


def helper(number):
    return FACTOR * number


@mesh.deployment
class OfScript:
    def __init__(self, function, *, point):
        self._function, self._point = function, point

    def __call__(self, number):
        return self._function(helper(number))

    async def move(self, point):
        assert isinstance(point, Point) and isinstance(self._point, Point)
        return Point(point.x + self._point.x)

    def fail(self):
        raise Own(7)

    def pid(self):
        return os.getpid()


@mesh.deployment
def function(number):
    return helper(number)


@mesh.deployment
async def async_function(number):
    await asyncio.sleep(0)
    return helper(number)


def factory(number):
    @mesh.deployment
    class Made:
        def __call__(self):
            return helper(number)

    return Made


class Outer:
    @mesh.deployment
    class Inner:
        def __call__(self):
            return "inner"


if __name__ == "__main__":
    mesh.start(http_options=mesh.HTTPOptions(port=0))
    offset = 1000
    handle = mesh.run(OfScript.bind(lambda number: number + offset, point=Point(5)))
    try:
        handle.fail.remote().result()
    except Own as error:
        caught = error.code
    moved = handle.move.remote(Point(1)).result()
    print(json.dumps({
        "lambda and closure": handle.remote(1).result(),
        "own class comes back as itself": isinstance(moved, Point) and moved.x,
        "own exception is caught as itself": caught,
        "another process": handle.pid.remote().result() != os.getpid(),
        "function": mesh.run(function.bind()).remote(2).result(),
        "async function": mesh.run(async_function.bind()).remote(2).result(),
        "made by a factory": mesh.run(factory(4).bind()).remote().result(),
        "inside of a class": mesh.run(Outer.Inner.bind()).remote().result(),
    }))
"""


@pytest.mark.feature("17")
@pytest.mark.feature("19")
@pytest.mark.feature("58")
def test_everything_in_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = run_python("script.py", cwd=tmp_path)
    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "lambda and closure": 1003,
        "own class comes back as itself": 6,
        "own exception is caught as itself": 7,
        "another process": True,
        "function": 6,
        "async function": 6,
        "made by a factory": 12,
        "inside of a class": "inner",
    }
    assert ended.stderr.count("mesh: the script has ended, and its deployments with it") == 1
    assert "meshctl run" in ended.stderr
    assert "Traceback" not in ended.stderr


def _nested(factor: int) -> mesh.Deployment[Any]:
    @mesh.deployment
    class Nested:
        def __init__(self, function: Callable[[int], int], array: Any) -> None:
            self._function = function
            self._array = array

        def __call__(self, number: int) -> int:
            return self._function(number) * factor + int(self._array.sum())

    return Nested


@pytest.mark.feature("17")
@pytest.mark.feature("19")
def test_class_from_inside_of_a_function_with_arguments_that_only_cloudpickle_takes(run: Run) -> None:
    offset = 7
    handle = run(_nested(10).bind(lambda number: number + offset, np.arange(5)))
    assert handle.remote(1).result() == 90


@pytest.mark.feature("10")
def test_functions_and_coroutine_functions(run: Run) -> None:
    @mesh.deployment
    def plain(number: int) -> int:
        return number + 1

    @mesh.deployment(name="other")
    async def coroutine(number: int) -> int:
        return number + 2

    assert run(plain.bind(), name="plain").remote(1).result() == 2
    assert run(coroutine.bind(), name="coroutine").remote(1).result() == 3
    deployments = {a.name: a.deployments[0].name for a in mesh.status().applications}
    assert deployments == {"plain": "plain", "coroutine": "other"}


@pytest.mark.feature("16")
def test_class_without_call_is_called_by_its_methods(run: Run) -> None:
    @mesh.deployment
    class Silent:
        def speak(self) -> str:
            return "speaks"

        def _private(self) -> str:
            return "private"

    handle = run(Silent.bind())
    assert handle.speak.remote().result() == "speaks"
    with pytest.raises(errors.MethodNotFound, match=r"no method '__call__', it has speak"):
        handle.remote()
    with pytest.raises(AttributeError):
        handle._private.remote()
    with pytest.raises(errors.MethodNotFound):
        handle.options(method_name="_private").remote()


@pytest.mark.feature("11")
@pytest.mark.feature("15")
def test_init_args_and_init_kwargs_are_used_where_bind_has_none(run: Run) -> None:
    @mesh.deployment(init_args=(1,), init_kwargs={"two": 2})
    class Made:
        def __init__(self, one: int, two: int = 0) -> None:
            self._made = [one, two]

        def __call__(self) -> list[int]:
            return self._made

    assert run(Made.bind()).remote().result() == [1, 2]
    assert run(Made.bind(5, two=6)).remote().result() == [5, 6]


@pytest.mark.feature("13")
def test_more_than_the_cpus_of_the_machine_is_no_reason_not_to_start(run: Run, own_mesh: RunningMesh) -> None:
    hungry = Echo.options(num_replicas=2, ray_actor_options={"num_cpus": 10_000})
    assert run(hungry.bind()).use.remote(2).result() == 4
    assert len(own_mesh.replicas("Echo#")) == 2


@pytest.mark.feature("18")
def test_deployment_is_not_called_itself() -> None:
    with pytest.raises(RuntimeError, match=r"\.bind|mesh\.run"):
        Echo()


@pytest.mark.feature("63b")
def test_output_of_a_deployment_comes_line_by_line_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "talks.py").write_text(
        "import logging, sys\nimport mesh\n\n"
        "@mesh.deployment\nclass Talks:\n"
        "    def __call__(self):\n"
        "        print('on stdout')\n        print('on stderr', file=sys.stderr)\n"
        "        logging.getLogger('own').warning('by logging')\n\n"
        "if __name__ == '__main__':\n"
        "    mesh.start(http_options=mesh.HTTPOptions(port=0))\n"
        "    mesh.run(Talks.bind()).remote().result()\n    mesh.shutdown()\n"
    )
    ended = run_python("talks.py", cwd=tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.stdout == ""
    for text in ("on stdout", "on stderr", "by logging"):
        (line,) = (line for line in ended.stderr.splitlines() if text in line)
        assert line.startswith("(Talks#")


def test_environment_and_working_directory_are_the_scripts(run: Run, own_mesh: RunningMesh) -> None:
    @mesh.deployment
    def where() -> str:
        return os.getcwd()

    assert run(where.bind()).remote().result() == os.getcwd()
